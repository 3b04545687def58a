import Foundation
import Ouroboros
import TestSupport
import Testing

@testable import OuroborosStore

/// What was read of a secret lies nowhere in the process's memory once the result is gone.
@Suite struct ErasureTests {
    let scratch: Scratch
    let secret: HiddenSecret
    let device = DeviceID(number: 0x0102_0304_0506_0708)

    init() throws {
        scratch = try Scratch()
        secret = HiddenSecret()
    }

    private func expectNothingLeft(_ what: String, after body: () throws -> Void) throws {
        try body()
        #expect(try secret.copies() == [], "\(what)")
    }

    /// The others can fail.
    @Test func whatIsHeldOrWasNotErasedIsFound() throws {
        func hold() throws {
            let key = try SecretKey(secret.bytes)
            #expect(try !secret.copies().isEmpty)
            withExtendedLifetime(key) {}
        }
        #expect(try secret.copies() == [])
        try hold()
        #expect(try secret.copies() == [])
        // What was freed may be somebody else's at once.
        let isFound = try (0..<20).contains { _ in
            _ = Array(secret.digits)
            return try !secret.copies().isEmpty
        }
        #expect(isFound)
    }

    @Test func aKeyFile() throws {
        try secret.writeDigits(to: scratch.file("key"))
        try expectNothingLeft("reading") {
            let key = try KeyFiles.read(scratch.file("key"))
            #expect(try SecretKey(secret.bytes) == key)
        }
        try expectNothingLeft("writing") {
            try KeyFiles.write(try SecretKey(secret.bytes), toNew: scratch.file("copy"))
        }
        try secret.writeDigits(to: scratch.file("two"), lines: 2)
        try expectNothingLeft("refusing") {
            #expect(throws: OuroborosError.self) { try KeyFiles.read(scratch.file("two")) }
        }
    }

    @Test func aKeyOfTheEnvironment() throws {
        try expectNothingLeft("reading") {
            try secret.withVariable("OUROBOROS_TEST_KEY") {
                let key = try SecretSource.variable("OUROBOROS_TEST_KEY").key()
                #expect(try SecretKey(secret.bytes) == key)
            }
        }
    }

    @Test func aPasswordOrPassphrase() throws {
        try secret.writeDigits(to: scratch.file("line"))
        try expectNothingLeft("a line") { _ = try SecretSource.file(scratch.file("line")).line() }
        try expectNothingLeft("a passphrase") { _ = try SecretSource.file(scratch.file("line")).passphrase() }
        try secret.writeDigits(to: scratch.file("two"), lines: 2)
        try expectNothingLeft("refusing") {
            #expect(throws: OuroborosError.self) { try SecretSource.file(scratch.file("two")).line() }
        }
    }

    /// Key and passphrase are the secret both.
    @Test func anExport() throws {
        try secret.writeDigits(to: scratch.file("passphrase"))
        var bytes: [UInt8] = []
        try expectNothingLeft("sealing") {
            let device = StoredDevice(
                credential: .fixed(device: device, rootKey: try SecretKey(secret.bytes)), name: "kitchen",
                addedAt: 0)
            bytes = try DeviceExport.seal(
                [device], under: .passphrase(try SecretSource.file(scratch.file("passphrase")).passphrase()))
        }
        try expectNothingLeft("opening") {
            let devices = try DeviceExport.open(
                bytes, under: .passphrase(try SecretSource.file(scratch.file("passphrase")).passphrase()))
            #expect(try devices.map(\.credential.key) == [SecretKey(secret.bytes)])
        }
    }

    @Test func aSealedStore() throws {
        let kek = SecretKey.random()
        let store = try GatewayStore(path: scratch.file("gw.sqlite"), keyEncryptionKey: kek)
        try expectNothingLeft("adding") {
            try store.add(.evolving(device: device, key: try SecretKey(secret.bytes)), name: "kitchen")
        }
        try expectNothingLeft("looking up") { () throws in
            #expect(try store.credential(of: device)?.key == SecretKey(secret.bytes))
        }
        try expectNothingLeft("listing") { () throws in #expect(try store.devices().count == 1) }
    }

    @Test func aSealedStateAndItsSession() throws {
        let state = try DeviceState(path: scratch.file("state"), keyEncryptionKey: .random())
        try expectNothingLeft("saving") {
            try state.save(.evolving(device: device, key: try SecretKey(secret.bytes)))
            try state.save(SavedSession(secret.bytes))
        }
        try expectNothingLeft("reading") { () throws in
            #expect(try state.credential()?.key == SecretKey(secret.bytes))
            #expect(try state.takeSession() != nil)
        }
    }

    @Test func theKeyThatSeals() throws {
        let store = scratch.file("gw.sqlite")
        try expectNothingLeft("opening") {
            _ = try GatewayStore(path: store, keyEncryptionKey: try SecretKey(secret.bytes))
            _ = try GatewayStore(path: store, keyEncryptionKey: try SecretKey(secret.bytes))
        }
    }
}
