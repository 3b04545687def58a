import Foundation
import GRDB
import Ouroboros
import TestSupport
import Testing

@testable import OuroborosStore

/// What is changed of a device that is there.
@Suite struct DeviceChangeTests {
    private let scratch: Scratch
    private let store: GatewayStore
    private let device = DeviceID(number: 7)
    private let credential: Credential

    init() throws {
        scratch = try Scratch()
        store = try GatewayStore(path: scratch.file("gw.sqlite"))
        credential = .evolving(device: device, epoch: 3, key: .random())
        try store.add(credential, name: "kitchen")
    }

    private func record() throws -> DeviceRecord { try #require(try store.record(of: device)) }

    @Test func aNameIsChanged() throws {
        #expect(try store.change(device, .name("cellar")))
        #expect(try record().name == "cellar")
        #expect(try store.credential(of: device) == credential)
        #expect(try !store.change(DeviceID(number: 8), .name("x")))
    }

    @Test func aDeviceThatIsDisabledHasNoCredential() async throws {
        let token = try store.changeToken()
        // As the command does, beside a gateway.
        let other = try GatewayStore(path: scratch.file("gw.sqlite"))
        #expect(try other.change(device, .isDisabled(true)))
        #expect(try store.changeToken() != token)
        #expect(try store.credential(of: device) == nil)
        #expect(try store.isDisabled(device))
        #expect(try await AwaitedStore(store).isDisabled(device))
        #expect(try record().isDisabled)
        #expect(try record().epoch == 3)
        #expect(try other.change(device, .isDisabled(false)))
        #expect(try store.credential(of: device) == credential)
        #expect(try !store.isDisabled(device))
        #expect(try !store.isDisabled(DeviceID(number: 8)))
        #expect(try !store.change(DeviceID(number: 8), .isDisabled(true)))
    }

    @Test func tagsAreAddedAndRemoved() throws {
        #expect(try record().tags == [])
        #expect(try store.change(device, .tags(adding: ["hall", "floor=2"], removing: [])))
        #expect(try record().tags == ["floor=2", "hall"])
        #expect(try store.change(device, .tags(adding: ["hall", "a.b"], removing: ["floor=2", "none"])))
        #expect(try record().tags == ["a.b", "hall"])
        #expect(try !store.change(DeviceID(number: 8), .tags(adding: ["a"], removing: [])))
        for tag in ["", "a b", "ä", "a,b", String(repeating: "x", count: 64)] {
            #expect(throws: OuroborosError.self) {
                try store.change(device, .tags(adding: [tag], removing: []))
            }
        }
        #expect(throws: OuroborosError.self) {
            try store.change(device, .tags(adding: Set((0..<32).map { "t\($0)" }), removing: []))
        }
        #expect(try record().tags == ["a.b", "hall"])
    }

    @Test func whereAndWhenItsSessionBeganIsKept() throws {
        var activity = DeviceActivity()
        activity.sessions = 1
        activity.sessionAt = 1000
        activity.address = "192.0.2.7:4711"
        try store.count([device: activity], at: 1001)
        var later = DeviceActivity()
        later.messages = 1
        try store.count([device: later], at: 1005)
        #expect(try record().sessionAt == 1000)
        #expect(try record().address == "192.0.2.7:4711")
        #expect(try record().lastSeen == 1005)
    }

    @Test func tagsAndWhatIsDisabledTravel() throws {
        #expect(try store.change(device, .tags(adding: ["b", "a"], removing: [])))
        #expect(try store.change(device, .isDisabled(true)))
        try store.add(.fixed(device: DeviceID(number: 8), rootKey: .random()), name: "plain")
        let devices = try store.devices()
        #expect(devices.map(\.tags) == [["a", "b"], []])
        #expect(devices.map(\.isDisabled) == [true, false])
        let key = SecretKey.random()
        let export = try DeviceExport.seal(devices, under: .keyEncryptionKey(key))
        #expect(try DeviceExport.open(export, under: .keyEncryptionKey(key)) == devices)
        let other = try GatewayStore(path: scratch.file("other.sqlite"))
        try other.add(devices)
        #expect(try other.devices() == devices)
        #expect(try other.credential(of: device) == nil)
    }

    /// As version 2 of the schema had it.
    @Test func aStoreOfBeforeOpens() throws {
        let path = scratch.file("old.sqlite")
        try StoreDatabase.Purpose.gateway.makeFile(
            path, version: 2, "INSERT INTO device VALUES (?, 'old', 'fixed', 0, 'plain', ?, 5, 6, 7, 8, 9)",
            [Data(device.bytes), credential.key.withUnsafeBytes { Data($0) }])
        let store = try GatewayStore(path: path)
        #expect(try store.credential(of: device) == .fixed(device: device, rootKey: credential.key))
        let record = try #require(try store.record(of: device))
        #expect(
            record
                == DeviceRecord(
                    id: device, name: "old", kind: .fixed, epoch: 0, addedAt: 5, lastSeen: 6, sessions: 7,
                    messages: 8, bytes: 9))
        #expect(try store.change(device, .tags(adding: ["new"], removing: [])))
    }
}
