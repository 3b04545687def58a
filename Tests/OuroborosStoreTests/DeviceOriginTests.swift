import Foundation
import GRDB
import Ouroboros
import TestSupport
import Testing

@testable import OuroborosStore

/// A state knows with which root key it began, and where its gateway is.
@Suite struct DeviceOriginTests {
    private let scratch: Scratch
    private let path: String
    private let device = DeviceID(number: 7)
    private let key = SecretKey.random()

    init() throws {
        scratch = try Scratch()
        path = scratch.file("state")
    }

    @Test func aStateThatJoinedKnowsItsGateway() throws {
        let credential = Credential.evolving(device: device, key: key)
        try DeviceState(path: path).begin(credential, gateway: "gw.local:5700")
        let state = try DeviceState(path: path)
        #expect(try state.gateway() == "gw.local:5700")
        #expect(try state.credential() == credential)
        // It goes on, and still knows.
        let next = Credential.evolving(device: device, epoch: 1, key: .random())
        try state.save(next)
        try state.begin(credential, gateway: "elsewhere:1")
        #expect(try state.credential() == next)
        #expect(try state.gateway() == "gw.local:5700")
    }

    @Test func anotherRootKeyIsTold() throws {
        let state = try DeviceState(path: path)
        try state.begin(.evolving(device: device, key: key))
        try state.save(.evolving(device: device, epoch: 1, key: .random()))
        try state.check(rootKey: key)
        let error = #expect(throws: OuroborosError.self) { try state.check(rootKey: .random()) }
        #expect(error?.message.contains("got a new key") == true)
        #expect(throws: OuroborosError.self) {
            try state.begin(.evolving(device: device, key: .random()), gateway: "gw:1")
        }
        #expect(throws: OuroborosError.self) {
            try state.begin(.evolving(device: DeviceID(number: 8), key: key), gateway: "gw:1")
        }
        #expect(try state.gateway() == nil)
    }

    @Test func theRootKeyItselfIsNotKept() throws {
        let state = try DeviceState(path: path)
        try state.begin(.evolving(device: device, key: key), gateway: "gw:1")
        try state.save(.evolving(device: device, epoch: 1, key: .random()))
        let needle = key.withUnsafeBytes { Data($0.prefix(16)) }
        #expect(try !scratch.contents().contains { $0.range(of: needle) != nil })
    }

    /// As version 3 of the schema had it.
    @Test func aStateOfBeforeOpens() throws {
        try StoreDatabase.Purpose.device.makeFile(
            path, version: 3, "INSERT INTO credential VALUES (1, ?, 'evolving', 4, 'plain', ?, 0)",
            [Data(device.bytes), key.withUnsafeBytes { Data($0) }])
        let state = try DeviceState(path: path)
        #expect(try state.credential() == .evolving(device: device, epoch: 4, key: key))
        #expect(try state.gateway() == nil)
        // With which key it began nobody knows.
        try state.check(rootKey: .random())
    }
}
