import Foundation
import Ouroboros
import TestSupport
import Testing

@testable import OuroborosStore

@Suite struct ExportTests {
    let devices: [StoredDevice] = [
        StoredDevice(
            credential: .evolving(device: DeviceID(number: 1), epoch: 12, key: .random()),
            name: "Keller – “unten”", addedAt: 1_700_000_000),
        StoredDevice(
            credential: .fixed(device: DeviceID(number: .max), rootKey: .random()), name: "", addedAt: -1),
    ]
    let passphrase = SecretBytes.copying("correct horse battery staple".utf8)

    @Test func devicesTravelSealed() throws {
        let kek = SecretKey.random()
        for secret in [DeviceExport.Secret.passphrase(passphrase), .keyEncryptionKey(kek)] {
            let bytes = try DeviceExport.seal(devices, under: secret)
            #expect(try DeviceExport.open(bytes, under: secret) == devices)
            #expect(try DeviceExport.seal(devices, under: secret) != bytes)
            for device in devices {
                let key = device.credential.key.withUnsafeBytes { Data($0) }
                #expect(Data(bytes).range(of: key) == nil)
            }
            #expect(Data(bytes).range(of: Data("Keller".utf8)) == nil)
        }
    }

    @Test func anotherSecretOrAChangeIsAnError() throws {
        let kek = SecretKey.random()
        let bytes = try DeviceExport.seal(devices, under: .keyEncryptionKey(kek))
        #expect(throws: OuroborosError.self) {
            try DeviceExport.open(bytes, under: .keyEncryptionKey(.random()))
        }
        #expect(throws: OuroborosError.self) { try DeviceExport.open(bytes, under: .passphrase(passphrase)) }
        for index in bytes.indices {
            var changed = bytes
            changed[index] ^= 1
            #expect(throws: OuroborosError.self) {
                try DeviceExport.open(changed, under: .keyEncryptionKey(kek))
            }
        }
        for count in 0..<bytes.count {
            #expect(throws: OuroborosError.self) {
                try DeviceExport.open(Array(bytes.prefix(count)), under: .keyEncryptionKey(kek))
            }
        }
        let sealed = try DeviceExport.seal(devices, under: .passphrase(passphrase))
        #expect(throws: OuroborosError.self) { try DeviceExport.open(sealed, under: .keyEncryptionKey(kek)) }
        #expect(throws: OuroborosError.self) {
            try DeviceExport.open(sealed, under: .passphrase(.copying("correct horse battery staple.".utf8)))
        }
        #expect(throws: OuroborosError.self) {
            try DeviceExport.seal(devices, under: .passphrase(.copying([1, 2, 3])))
        }
    }

    @Test func allAreImportedOrNone() throws {
        let scratch = try Scratch()
        let store = try GatewayStore(path: scratch.file("gw.sqlite"), keyEncryptionKey: .random())
        try store.add([devices[1]])
        #expect(throws: OuroborosError.self) { try store.add(devices) }
        #expect(try store.list().map(\.id) == [devices[1].credential.deviceID])
        #expect(try store.remove(devices[1].credential.deviceID))
        try store.add(devices)
        #expect(try store.devices() == devices)
        #expect(try store.devices([devices[1].credential.deviceID]) == [devices[1]])
        #expect(throws: OuroborosError.self) { try store.devices([DeviceID(number: 77)]) }
    }
}
