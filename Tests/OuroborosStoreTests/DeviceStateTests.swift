import Foundation
import GRDB
import Ouroboros
import OuroborosStore
import TestSupport
import Testing

@Suite struct DeviceStateTests {
    let scratch: Scratch
    let device = DeviceID(number: 0x0102_0304_0506_0708)

    init() throws {
        scratch = try Scratch()
    }

    @Test func aCredentialIsKept() throws {
        let path = scratch.file("state")
        let credential = Credential.evolving(device: device, epoch: 3, key: .random())
        do {
            let state = try DeviceState(path: path)
            #expect(try state.credential() == nil)
            try state.save(credential)
        }
        let state = try DeviceState(path: path)
        #expect(try state.credential() == credential)
        #expect(try scratch.mode(of: "state") == 0o600)
        #expect(throws: OuroborosError.self) {
            try state.save(.evolving(device: device, epoch: 2, key: .random()))
        }
        #expect(throws: OuroborosError.self) {
            try state.save(.evolving(device: DeviceID(number: 1), epoch: 4, key: .random()))
        }
        #expect(try state.credential() == credential)
    }

    /// Key, epoch and the sessions that did not last are one write.
    @Test func sessionsThatDidNotLastAreKept() throws {
        let path = scratch.file("state")
        let credential = Credential.evolving(device: device, epoch: 3, key: .random(), shortSessions: 5)
        try DeviceState(path: path).save(credential)
        let state = try DeviceState(path: path)
        #expect(try state.credential()?.shortSessions == 5)
        try state.save(.evolving(device: device, epoch: 3, key: credential.key))
        #expect(try state.credential()?.shortSessions == 0)
    }

    /// A file of before has none; one that somebody wrote into is no crash.
    @Test func aCountThatIsNoneIsNoCrash() throws {
        let path = scratch.file("state")
        try DeviceState(path: path).save(.evolving(device: device, epoch: 3, key: .random()))
        for (written, read) in [(-7, 0), (1 << 40, 255)] as [(Int64, UInt8)] {
            let queue = try DatabaseQueue(path: path)
            try queue.write {
                try $0.execute(sql: "UPDATE credential SET short_sessions = ?", arguments: [written])
            }
            try queue.close()
            #expect(try DeviceState(path: path).credential()?.shortSessions == read)
        }
    }

    @Test func aKeyThatWasLeftIsNoLongerInTheFiles() throws {
        let state = try DeviceState(path: scratch.file("state"))
        let root = SecretKey.random()
        try state.save(.evolving(device: device, key: root))
        try state.save(.evolving(device: device, epoch: 1, key: .random()))
        let needle = root.withUnsafeBytes { Data($0) }
        #expect(try !scratch.contents().contains { $0.range(of: needle) != nil })
    }

    @Test func aSecondUserIsRefused() throws {
        let path = scratch.file("state")
        let first = try DeviceState(path: path)
        try first.save(.fixed(device: device, rootKey: .random()))
        let error = #expect(throws: OuroborosError.self) { try DeviceState(path: path) }
        #expect(error?.message.contains("in use") == true)
        #expect(try first.credential() != nil)
    }

    @Test func aFileThatOthersReadIsRefused() throws {
        _ = try DeviceState(path: scratch.file("state"))
        try scratch.setMode(0o644, of: "state")
        #expect(throws: OuroborosError.self) { try DeviceState(path: scratch.file("state")) }
    }

    @Test func aKeyFileIsNeverOverwritten() throws {
        let path = scratch.file("root.key")
        try PrivateFile.write([1, 2, 3], toNew: path)
        #expect(try scratch.mode(of: "root.key") == 0o600)
        #expect(throws: OuroborosError.self) { try PrivateFile.write([4], toNew: path) }
        #expect(try PrivateFile.read(path, atMost: 10) == .copying([1, 2, 3]))
        #expect(throws: OuroborosError.self) { try PrivateFile.read(scratch.path, atMost: 10) }
        #expect(throws: OuroborosError.self) { try PrivateFile.read(scratch.file("none"), atMost: 10) }
    }
}
