import Foundation
import GRDB
import Ouroboros
import TestSupport
import Testing

@testable import OuroborosStore

@Suite struct SealingTests {
    let scratch: Scratch
    let device = DeviceID(number: 0x0102_0304_0506_0708)
    let kek = SecretKey.random()

    init() throws {
        scratch = try Scratch()
    }

    private func store(_ kek: SecretKey?) throws -> GatewayStore {
        try GatewayStore(path: scratch.file("gw.sqlite"), keyEncryptionKey: kek)
    }

    private func change(_ file: String, _ sql: String) throws {
        let queue = try DatabaseQueue(path: scratch.file(file))
        try queue.write { try $0.execute(sql: sql) }
        try queue.close()
    }

    private func contains(_ key: SecretKey) throws -> Bool {
        let needle = key.withUnsafeBytes { Data($0) }
        return try scratch.contents().contains { $0.range(of: needle) != nil }
    }

    @Test func aSealedStoreHoldsNoKeyInTheClear() throws {
        let root = SecretKey.random()
        let store = try store(kek)
        try store.add(.evolving(device: device, key: root), name: "kitchen")
        #expect(try !contains(root))
        #expect(try !contains(kek))
        #expect(try store.credential(of: device)?.key == root)
        let next = Credential.evolving(device: device, epoch: 1, key: .random())
        try store.advance(to: next)
        #expect(try !contains(next.key))
        #expect(try self.store(kek).credential(of: device) == next)
        #expect(store.isSealed)
    }

    @Test func anotherKeyIsRefusedAndNothingChanges() throws {
        let credential = Credential.fixed(device: device, rootKey: .random())
        try store(kek).add(credential, name: "")
        let error = #expect(throws: OuroborosError.self) { try store(.random()) }
        #expect(error?.message.contains("another key-encryption key") == true)
        #expect(try store(kek).credential(of: device) == credential)
    }

    @Test func withoutItsKeyAStoreListsAndRemovesAlone() throws {
        try store(kek).add(.evolving(device: device, key: .random()), name: "kitchen")
        let locked = try store(nil)
        #expect(try locked.list().map(\.name) == ["kitchen"])
        let next = Credential.evolving(device: device, epoch: 1, key: .random())
        for use in [
            { _ = try locked.credential(of: device) }, { try locked.advance(to: next) },
            { try locked.add(next, name: "") }, { try locked.rotate(device, to: .random()) },
            { _ = try locked.devices() }, { try locked.requireKeys() },
        ] {
            let error = #expect(throws: OuroborosError.self) { try use() }
            #expect(error?.message.contains("--kek-file") == true)
        }
        #expect(try locked.list().map(\.epoch) == [0])
        #expect(try locked.remove(device))
    }

    @Test func aPlainStoreStaysPlain() throws {
        // One without keys may still be sealed.
        _ = try store(nil)
        #expect(try store(kek).isSealed)
        let plain = scratch.file("plain.sqlite")
        try GatewayStore(path: plain).add(.fixed(device: device, rootKey: .random()), name: "")
        let error = #expect(throws: OuroborosError.self) {
            try GatewayStore(path: plain, keyEncryptionKey: kek)
        }
        #expect(error?.message.contains("not sealed") == true)
        #expect(try GatewayStore(path: plain).credential(of: device) != nil)
    }

    @Test(arguments: [
        "UPDATE device SET epoch = 7", "UPDATE device SET kind = 'fixed'",
        "UPDATE device SET id = x'0000000000000001'",
        "UPDATE device SET key = zeroblob(60)", "UPDATE device SET key = x'00'",
        "UPDATE device SET key = x'\(String(repeating: "ab", count: 32))', key_form = 'plain'",
    ])
    func aRowThatWasChangedDoesNotOpen(sql: String) throws {
        try store(kek).add(.evolving(device: device, key: .random()), name: "")
        try change("gw.sqlite", sql)
        let store = try store(kek)
        let id = try #require(try store.list().first?.id)
        #expect(throws: OuroborosError.self) { try store.credential(of: id) }
    }

    @Test func aRowOfAnotherStoreDoesNotOpen() throws {
        let credential = Credential.fixed(device: device, rootKey: .random())
        try store(kek).add(credential, name: "")
        try GatewayStore(path: scratch.file("b.sqlite"), keyEncryptionKey: kek).add(credential, name: "")
        let row = try DatabaseQueue(path: scratch.file("b.sqlite")).read {
            try Data.fetchOne($0, sql: "SELECT key FROM device")
        }
        let queue = try DatabaseQueue(path: scratch.file("gw.sqlite"))
        try queue.write { try $0.execute(sql: "UPDATE device SET key = ?", arguments: [row]) }
        try queue.close()
        let store = try store(kek)
        #expect(throws: OuroborosError.self) { try store.credential(of: device) }
    }

    @Test func eachSealingHasItsOwnNonce() throws {
        let store = try store(kek)
        let credential = Credential.evolving(device: device, key: .random())
        try store.add(credential, name: "")
        func stored() throws -> Data? {
            try store.database.read { try Data.fetchOne($0, sql: "SELECT key FROM device") }
        }
        let first = try stored()
        try store.advance(to: credential)
        #expect(try stored() != first)
        #expect(try store.credential(of: device) == credential)
    }

    @Test func aSealedStateIsKept() throws {
        let path = scratch.file("state")
        let root = SecretKey.random()
        do {
            let state = try DeviceState(path: path, keyEncryptionKey: kek)
            try state.save(.evolving(device: device, key: root))
            try state.save(SavedSession([UInt8](repeating: 0xA5, count: 200)))
            #expect(try !contains(root))
            let session = Data(repeating: 0xA5, count: 32)
            #expect(try !scratch.contents().contains { $0.range(of: session) != nil })
        }
        #expect(throws: OuroborosError.self) { try DeviceState(path: path, keyEncryptionKey: .random()) }
        let locked = try? DeviceState(path: path)
        #expect(throws: OuroborosError.self) { try locked?.credential() }
    }

    @Test func aDeviceGetsANewRootKey() throws {
        let store = try store(kek)
        let old = SecretKey.random()
        try store.add(.evolving(device: device, epoch: 9, key: old), name: "kitchen")
        let root = SecretKey.random()
        try store.rotate(device, to: root)
        #expect(try store.credential(of: device) == .evolving(device: device, key: root))
        #expect(throws: OuroborosError.self) { try store.rotate(DeviceID(number: 9), to: root) }
    }

    @Test func anEarlierSchemaIsBroughtUpToDate() throws {
        let path = scratch.file("old.sqlite")
        let key = Data(repeating: 7, count: 32)
        try StoreDatabase.Purpose.gateway.makeFile(
            path, version: 1, "INSERT INTO device VALUES (?, 'old', 'evolving', 4, 'plain', ?, 0)",
            [Data(device.bytes), key])
        let store = try GatewayStore(path: path)
        let credential = Credential.evolving(device: device, epoch: 4, key: try SecretKey(key))
        #expect(try store.credential(of: device) == credential)
        #expect(try store.record(of: device)?.lastSeen == nil)
    }

    @Test func aDamagedStoreIsRefusedAndStays() throws {
        let path = scratch.file("gw.sqlite")
        do {
            let store = try store(nil)
            for number in 1...200 {
                try store.add(.fixed(device: DeviceID(number: UInt64(number)), rootKey: .random()), name: "x")
            }
            try store.database.truncateLog()
            try store.database.queue.close()
        }
        var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        for index in 8192..<12_000 { bytes[index] = 0xEE }
        try bytes.write(to: URL(fileURLWithPath: path))
        try scratch.setMode(0o600, of: "gw.sqlite")
        let error = #expect(throws: OuroborosError.self) { try store(nil) }
        #expect(error?.message.contains("damaged") == true, "\(error?.message ?? "")")
        #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == bytes)
    }

    @Test(arguments: [StoreDatabase.Purpose.gateway, .device, .spool])
    func everyFileIsDurable(purpose: StoreDatabase.Purpose) throws {
        let database = try StoreDatabase(
            path: scratch.file("file"), purpose: purpose, isExclusive: purpose == .device)
        let found = try database.queue.writeWithoutTransaction { database in
            try ["synchronous", "journal_mode", "secure_delete"].map {
                try String.fetchOne(database, sql: "PRAGMA \($0)")
            }
        }
        #expect(found == ["2", "wal", "1"])
        #expect(try scratch.mode(of: "file") == 0o600)
    }

    @Test func aForeignDatabaseIsLeftAsItWas() throws {
        let path = scratch.file("foreign.sqlite")
        try PrivateFile.prepare(path)
        let queue = try DatabaseQueue(path: path)
        try queue.write { try $0.execute(sql: "CREATE TABLE photos (name TEXT)") }
        try queue.close()
        let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        #expect(throws: OuroborosError.self) { try GatewayStore(path: path) }
        #expect(throws: OuroborosError.self) { try DeviceState(path: path) }
        #expect(throws: OuroborosError.self) { try Spool(path: path) }
        #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == bytes)
    }

    @Test func whatADeviceDidIsCounted() throws {
        let store = try store(nil)
        try store.add(.fixed(device: device, rootKey: .random()), name: "")
        var activity = DeviceActivity()
        activity.sessions = 1
        activity.messages = 3
        activity.bytes = 100
        try store.count([device: activity, DeviceID(number: 5): activity], at: 1_000_000_000)
        try store.count([device: activity], at: 999_999_999)
        let record = try #require(try store.record(of: device))
        #expect(record.lastSeen == 1_000_000_000)
        #expect(record.sessions == 2)
        #expect(record.messages == 6)
        #expect(record.bytes == 200)
    }
}
