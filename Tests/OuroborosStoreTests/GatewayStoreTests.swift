import Foundation
import GRDB
import Ouroboros
import TestSupport
import Testing

@testable import OuroborosStore

@Suite struct GatewayStoreTests {
    let scratch: Scratch
    let device = DeviceID(number: 0x0102_0304_0506_0708)

    init() throws {
        scratch = try Scratch()
    }

    private func store() throws -> GatewayStore { try GatewayStore(path: scratch.file("gw.sqlite")) }

    @Test func devicesAreAddedListedAndRemoved() throws {
        let fixed = Credential.fixed(device: device, rootKey: .random())
        let evolving = Credential.evolving(device: DeviceID(number: 1), key: .random())
        try store().add(fixed, name: "kitchen")
        try store().add(evolving, name: "Keller – “unten”")
        let again = try store()
        #expect(try again.credential(of: device) == fixed)
        #expect(try again.credential(of: DeviceID(number: 1)) == evolving)
        #expect(try again.credential(of: DeviceID(number: 2)) == nil)
        let list = try again.list()
        #expect(list.map(\.name) == ["Keller – “unten”", "kitchen"])
        #expect(list.map(\.kind) == [.evolving, .fixed])
        #expect(throws: OuroborosError.self) { try again.add(fixed, name: "twice") }
        #expect(try again.remove(device))
        #expect(try !again.remove(device))
        #expect(try again.credential(of: device) == nil)
    }

    @Test func anEpochMovesForwardAlone() throws {
        let store = try store()
        try store.add(.evolving(device: device, key: .random()), name: "")
        let next = Credential.evolving(device: device, epoch: 5, key: .random())
        try store.advance(to: next)
        #expect(try self.store().credential(of: device) == next)
        #expect(throws: OuroborosError.self) {
            try store.advance(to: .evolving(device: device, epoch: 4, key: .random()))
        }
        #expect(try store.credential(of: device) == next)
        // Another device, and one that does not evolve.
        #expect(throws: OuroborosError.self) {
            try store.advance(to: .evolving(device: DeviceID(number: 9), epoch: 1, key: .random()))
        }
        let fixed = Credential.fixed(device: DeviceID(number: 2), rootKey: .random())
        try store.add(fixed, name: "")
        #expect(throws: OuroborosError.self) {
            try store.advance(to: .evolving(device: DeviceID(number: 2), epoch: 1, key: .random()))
        }
    }

    @Test func whatIsWrittenIsDurable() throws {
        let store = try store()
        let database = try StoreDatabase(
            path: scratch.file("gw.sqlite"), purpose: .gateway, isExclusive: false)
        let (synchronous, journal, secure) = try database.queue.writeWithoutTransaction { database in
            (
                try Int.fetchOne(database, sql: "PRAGMA synchronous"),
                try String.fetchOne(database, sql: "PRAGMA journal_mode"),
                try Int.fetchOne(database, sql: "PRAGMA secure_delete")
            )
        }
        #expect(synchronous == 2)
        #expect(journal == "wal")
        #expect(secure == 1)
        _ = store
    }

    @Test func aKeyThatWasLeftIsNoLongerInTheFiles() throws {
        let store = try store()
        let root = SecretKey.random()
        let needle = root.withUnsafeBytes { Data($0) }
        try store.add(.evolving(device: device, key: root), name: "")
        #expect(try scratch.contents().contains { $0.range(of: needle) != nil })
        try store.advance(to: .evolving(device: device, epoch: 1, key: .random()))
        try store.erasePastKeys()
        #expect(try !scratch.contents().contains { $0.range(of: needle) != nil })
    }

    @Test func theFileIsPrivate() throws {
        _ = try store()
        #expect(try scratch.mode(of: "gw.sqlite") == 0o600)
        for mode in [0o640, 0o604, 0o644, 0o660] {
            try scratch.setMode(mode, of: "gw.sqlite")
            let error = #expect(throws: OuroborosError.self) { try store() }
            #expect(error?.message.contains("chmod 600") == true)
        }
    }

    @Test func aNewerSchemaIsRefused() throws {
        _ = try store()
        let queue = try DatabaseQueue(path: scratch.file("gw.sqlite"))
        try queue.write { try $0.execute(sql: "PRAGMA user_version = 4") }
        try queue.close()
        let error = #expect(throws: OuroborosError.self) { try store() }
        #expect(error?.message.contains("newer version") == true)
    }

    @Test func anotherFileIsRefusedAndStays() throws {
        let text = Data("these are my holiday pictures, more or less".utf8)
        try text.write(to: URL(fileURLWithPath: scratch.file("gw.sqlite")))
        try scratch.setMode(0o600, of: "gw.sqlite")
        #expect(throws: OuroborosError.self) { try store() }
        #expect(try Data(contentsOf: URL(fileURLWithPath: scratch.file("gw.sqlite"))) == text)
        // A device's state is no gateway's store.
        _ = try DeviceState(path: scratch.file("state"))
        #expect(throws: OuroborosError.self) { try GatewayStore(path: scratch.file("state")) }
    }

    @Test func aKeyInAFormOfTheFutureIsRefused() throws {
        let store = try store()
        try store.add(.fixed(device: device, rootKey: .random()), name: "")
        let queue = try DatabaseQueue(path: scratch.file("gw.sqlite"))
        try queue.write { try $0.execute(sql: "UPDATE device SET key_form = 'sealed-9'") }
        #expect(throws: OuroborosError.self) { try store.credential(of: device) }
    }

    @Test func anotherProcessesChangeIsSeen() throws {
        let store = try store()
        let before = try store.changeToken()
        #expect(try store.changeToken() == before)
        try self.store().add(.fixed(device: device, rootKey: .random()), name: "")
        #expect(try store.changeToken() != before)
    }

    @Test func aPlainCopyOfAFileThatNobodyUsesHoldsTheDevices() throws {
        let credential = Credential.fixed(device: device, rootKey: .random())
        try store().add(credential, name: "kitchen")
        #expect(try scratch.names() == ["gw.sqlite"])
        try FileManager.default.copyItem(atPath: scratch.file("gw.sqlite"), toPath: scratch.file("copy"))
        #expect(try GatewayStore(path: scratch.file("copy")).credential(of: device) == credential)
    }

    @Test func soDoesOneOfAnOpenFileThatWasTidied() throws {
        let store = try store()
        let credential = Credential.fixed(device: device, rootKey: .random())
        try store.add(credential, name: "kitchen")
        try store.tidy()
        try FileManager.default.copyItem(atPath: scratch.file("gw.sqlite"), toPath: scratch.file("copy"))
        #expect(try GatewayStore(path: scratch.file("copy")).credential(of: device) == credential)
    }

    @Test func aBackupIsMadeOfAnOpenStoreAndIsPrivate() throws {
        let key = SecretKey.random()
        let store = try GatewayStore(path: scratch.file("gw.sqlite"), keyEncryptionKey: key)
        let credential = Credential.evolving(device: device, epoch: 3, key: .random())
        try store.add(credential, name: "kitchen")
        // Another process writes meanwhile.
        let lock = try HeldLock(scratch.file("gw.sqlite"))
        try store.backUp(to: scratch.file("backup"))
        try lock.release()
        #expect(try scratch.mode(of: "backup") == 0o600)
        #expect(!scratch.exists("backup-wal"))
        let copy = try GatewayStore(path: scratch.file("backup"), keyEncryptionKey: key)
        #expect(try copy.credential(of: device) == credential)
        #expect(try copy.list() == store.list())
        // It is never written over another file.
        #expect(throws: OuroborosError.self) { try store.backUp(to: scratch.file("backup")) }
        #expect(try copy.credential(of: device) == credential)
    }

    /// An epoch waits for a store that is held, and lookups do not wait with it.
    @Test func anEpochWaitsForAStoreThatIsHeld() async throws {
        let store = try store()
        let first = Credential.evolving(device: device, key: .random())
        try store.add(first, name: "")
        let awaited = AwaitedStore(store)
        let lock = try HeldLock(scratch.file("gw.sqlite"))
        let next = Credential.evolving(device: device, epoch: 1, key: .random())
        async let moving: Void = awaited.advance(to: next, from: 0)
        try await eventually("the write has failed once") { awaited.trouble != nil }
        #expect(try await awaited.credential(of: device) == first)
        try lock.release()
        try await moving
        #expect(try await awaited.credential(of: device) == next)
    }
}
