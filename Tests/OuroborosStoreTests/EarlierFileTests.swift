import Foundation
import GRDB
import Ouroboros
import TestSupport
import Testing

@testable import OuroborosStore

/// Files that commit 87b2280 made, when another library sealed them. Their secrets are these, and nobody else's.
@Suite struct EarlierFileTests {
    private let scratch: Scratch
    private let key: SecretKey
    private let passphrase = SecretBytes.copying("correct horse battery staple".utf8)
    private let devices: [StoredDevice]

    init() throws {
        scratch = try Scratch()
        key = try SecretKey(0..<32)
        func root(_ byte: UInt8) throws -> SecretKey { try SecretKey(repeatElement(byte, count: 32)) }
        devices = [
            StoredDevice(
                credential: .fixed(device: DeviceID(number: 1), rootKey: try root(0x11)), name: "kitchen",
                addedAt: 1_700_000_001),
            StoredDevice(
                credential: .evolving(device: DeviceID(number: 2), epoch: 12, key: try root(0x22)),
                name: "Keller – “unten”", addedAt: 1_700_000_002),
            StoredDevice(
                credential: .evolving(device: DeviceID(number: .max), key: try root(0x33)), name: "",
                addedAt: -1),
        ]
    }

    private func bytes(_ name: String) throws -> [UInt8] {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        return Array(try Data(contentsOf: folder.appendingPathComponent("Fixtures/\(name)")))
    }

    /// A copy, as opening a store changes its file.
    private func copy(_ name: String) throws -> String {
        let path = scratch.file(name)
        try Data(bytes(name)).write(to: URL(fileURLWithPath: path))
        try scratch.setMode(0o600, of: name)
        return path
    }

    private func inEachByteChanged(_ bytes: [UInt8], _ body: ([UInt8]) throws -> Void) rethrows {
        for index in bytes.indices {
            var changed = bytes
            changed[index] ^= 1
            try body(changed)
        }
    }

    @Test func aSealedStoreOpens() throws {
        let path = try copy("gateway.sqlite")
        let store = try GatewayStore(path: path, keyEncryptionKey: key)
        #expect(store.isSealed)
        #expect(try store.devices() == devices)
        // It goes on as the same store.
        let next = Credential.evolving(device: DeviceID(number: 2), epoch: 13, key: .random())
        try store.advance(to: next)
        #expect(try GatewayStore(path: path, keyEncryptionKey: key).credential(of: next.deviceID) == next)
    }

    @Test func aSealedStoreWantsItsKey() throws {
        let path = try copy("gateway.sqlite")
        let error = #expect(throws: OuroborosError.self) {
            try GatewayStore(path: path, keyEncryptionKey: .random())
        }
        #expect(error?.message.contains("another key-encryption key") == true)
    }

    @Test func aSealedKeyThatWasChangedDoesNotOpen() throws {
        let path = try copy("gateway.sqlite")
        let device = DeviceID(number: 1)
        let store = try GatewayStore(path: path, keyEncryptionKey: key)
        let queue = try DatabaseQueue(path: path)
        let sealed = try queue.read { database in
            try Data.fetchOne(
                database, sql: "SELECT key FROM device WHERE id = ?", arguments: [Data(device.bytes)])
        }
        try inEachByteChanged(Array(#require(sealed))) { changed in
            try queue.write { database in
                try database.execute(
                    sql: "UPDATE device SET key = ? WHERE id = ?",
                    arguments: [Data(changed), Data(device.bytes)])
            }
            #expect(throws: OuroborosError.self) { try store.credential(of: device) }
        }
    }

    @Test func aSealedStateOpens() throws {
        let state = try DeviceState(path: copy("device.sqlite"), keyEncryptionKey: key)
        #expect(try state.credential() == devices[1].credential)
        #expect(try state.credential()?.shortSessions == 0)
    }

    @Test func anExportUnderAKeyOpens() throws {
        let bytes = try bytes("kek.export")
        #expect(try DeviceExport.open(bytes, under: .keyEncryptionKey(key)) == devices)
        #expect(throws: OuroborosError.self) {
            try DeviceExport.open(bytes, under: .keyEncryptionKey(.random()))
        }
        inEachByteChanged(bytes) { changed in
            #expect(throws: OuroborosError.self) {
                try DeviceExport.open(changed, under: .keyEncryptionKey(key))
            }
        }
    }

    @Test func anExportUnderAPassphraseOpens() throws {
        var bytes = try bytes("passphrase.export")
        #expect(try DeviceExport.open(bytes, under: .passphrase(passphrase)) == devices)
        #expect(throws: OuroborosError.self) {
            try DeviceExport.open(bytes, under: .passphrase(.copying("correct horse battery staple.".utf8)))
        }
        bytes[bytes.count / 2] ^= 1
        #expect(throws: OuroborosError.self) { try DeviceExport.open(bytes, under: .passphrase(passphrase)) }
    }
}
