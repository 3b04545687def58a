import Foundation
import Ouroboros
import OuroborosStore
import TestSupport
import Testing

@Suite struct SavedSessionTests {
    let scratch: Scratch
    let device = DeviceID(number: 7)
    let bytes = (0..<400).map { UInt8(truncatingIfNeeded: $0 * 7 + 3) }

    init() throws {
        scratch = try Scratch()
    }

    private func bytes(_ session: SavedSession?) -> [UInt8]? { session?.withUnsafeBytes { Array($0) } }

    @Test(arguments: [true, false]) func aSessionIsHandedOutOnce(isSealed: Bool) throws {
        let kek: SecretKey? = isSealed ? .random() : nil
        let path = scratch.file("state")
        do {
            let state = try DeviceState(path: path, keyEncryptionKey: kek)
            #expect(throws: OuroborosError.self) { try state.save(SavedSession(bytes)) }
            try state.save(.evolving(device: device, epoch: 3, key: .random()))
            #expect(try state.takeSession() == nil)
            try state.save(SavedSession(bytes))
        }
        do {
            let state = try DeviceState(path: path, keyEncryptionKey: kek)
            let taken = try state.takeSession()
            #expect(bytes(taken?.session) == bytes)
            #expect((taken?.savedAt ?? 0) > 1_600_000_000)
            // Void before it was handed out: nothing of it is left.
            let needle = Data(bytes[100..<140])
            #expect(try !scratch.contents().contains { $0.range(of: needle) != nil })
            #expect(try state.takeSession() == nil)
        }
        #expect(try DeviceState(path: path, keyEncryptionKey: kek).takeSession() == nil)
    }

    @Test func aNewEpochVoidsIt() throws {
        let state = try DeviceState(path: scratch.file("state"))
        try state.save(.evolving(device: device, epoch: 3, key: .random()))
        try state.save(SavedSession(bytes))
        try state.save(.evolving(device: device, epoch: 4, key: .random()))
        #expect(try state.takeSession() == nil)
    }

    @Test func theLastOneCounts() throws {
        let state = try DeviceState(path: scratch.file("state"))
        try state.save(.fixed(device: device, rootKey: .random()))
        try state.save(SavedSession([1, 2, 3]))
        try state.save(SavedSession(bytes))
        #expect(bytes(try state.takeSession()?.session) == bytes)
    }
}
