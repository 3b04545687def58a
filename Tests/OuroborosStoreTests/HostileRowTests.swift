import Foundation
import LibC
import Ouroboros
import TestSupport
import Testing

@testable import OuroborosStore

/// Rows of SQLite files, as somebody who may write there could leave them.
@Suite struct HostileRowTests {
    private let scratch: Scratch
    private let device = DeviceID(number: 1)

    init() throws {
        scratch = try Scratch()
    }

    private final class Told: Sendable {
        private let reasons = Locked<[String]>([])

        init(_ reader: any ReadsRows) {
            reader.unreadable.tell { [self] reason in reasons.withLock { $0.append(reason) } }
        }

        func has(_ part: String) -> Bool {
            reasons.withLock { $0.contains { $0.contains(part) } }
        }
    }

    private func change(_ file: String, _ statements: String...) throws {
        try OtherProgram.change(scratch.file(file), statements)
    }

    private func storageError(_ part: String = "", _ body: () throws -> Void) {
        let error = #expect(throws: OuroborosError.self) { try body() }
        #expect(error?.code == .storage)
        #expect(part.isEmpty || error?.message.contains(part) == true, "\(error?.message ?? "")")
    }

    @Test func devices() throws {
        let store = try GatewayStore(path: scratch.file("store"))
        let told = Told(store)
        let ids = (1...6).map { DeviceID(number: $0) }
        for id in ids { try store.add(.evolving(device: id, key: .random()), name: "\(id)") }
        func change(_ number: Int, _ what: String) throws {
            let id = ids[number].description
            try self.change("store", "UPDATE device SET \(what) WHERE id = x'\(id)'")
        }
        try change(0, "epoch = -1")
        try change(1, "kind = 'other'")
        try change(2, "key = x'0102'")
        try change(3, "id = x'01'")
        try change(4, "key_form = 'other'")
        try change(5, "messages = 9223372036854775807, last_seen = -9223372036854775808")

        storageError("“epoch” of a row of the table “device”") { _ = try store.credential(of: ids[0]) }
        storageError("“kind”") { _ = try store.credential(of: ids[1]) }
        #expect(throws: OuroborosError.self) { try store.credential(of: ids[2]) }
        #expect(throws: OuroborosError.self) { try store.credential(of: ids[4]) }
        #expect(try store.credential(of: ids[5]) != nil)
        #expect(try store.list().map(\.id) == [ids[2], ids[4], ids[5]])
        #expect(try store.records(of: Set(ids)).count == 3)
        #expect(try store.devices().map(\.credential.deviceID) == [ids[5]])
        for part in ["“epoch”", "“kind”", "“key”", "“id”"] { #expect(told.has(part), "\(part)") }
        var activity = DeviceActivity()
        activity.messages = 3
        try store.count([ids[2]: activity, ids[5]: activity], at: 7)
        #expect(try store.record(of: ids[2])?.messages == 3)
        #expect(try store.record(of: ids[5])?.lastSeen == 7)
    }

    @Test func aSchemaBelowNone() throws {
        _ = try Spool(path: scratch.file("spool"))
        try change("spool", "PRAGMA user_version = -1")
        storageError { _ = try Spool(path: scratch.file("spool")) }
    }

    private func spool(_ count: UInt64) throws -> Spool {
        let spool = try Spool(path: scratch.file("spool"))
        _ = try spool.store(
            (0..<count).map { (device, Message(sessionID: 1, counter: $0, payload: [UInt8($0)])) }, now: 1)
        return spool
    }

    @Test func messages() throws {
        let spool = try spool(8)
        let told = Told(spool)
        for (number, what) in [
            "counter = -1", "session = 4294967296", "box = -5, seq = 1", "box = 1, seq = 4294967296",
            "device = x'01'", "received_at = -9223372036854775808",
        ].enumerated() {
            try change("spool", "UPDATE message SET \(what) WHERE id = \(number + 1)")
        }
        let page = try spool.page(after: 0, limit: 100)
        #expect(page.messages.map(\.id) == [6, 7, 8])
        #expect(page.unreadable.keys.sorted() == [1, 2, 3, 4, 5])
        #expect(page.unreadable[1]?.contains("“counter” of a row of the table “message”") == true)
        #expect(try spool.messages(after: 0, limit: 2).map(\.id) == [6])
        #expect(!MessageLine.line(for: page.messages[0]).isEmpty)

        let claim = try spool.ownClaim("http")
        try claim.passed(from: 0, through: 8, refused: page.unreadable.merging([7: "400"]) { $1 })
        #expect(try spool.deadLetterCount(of: "http") == 5)
        #expect(try spool.deadLetters(limit: 1).map(\.message.id) == [7])
        #expect(told.has("“counter” of a row of the table “dead_letter”"))
        #expect(try spool.retryDeadLetters(of: nil, id: nil) == 5)
        #expect(try spool.deadLetters(toRetryAt: "http", limit: 2).map(\.message.id) == [7])
    }

    @Test func records() throws {
        let spool = try spool(0)
        let told = Told(spool)
        func store(_ sequence: UInt32) throws -> [Bool] {
            let position = OutboxPosition(box: 7, sequence: sequence)
            return try spool.store(
                [(device, Message(sessionID: 1, counter: 1, payload: [], position: position))], now: 1)
        }
        #expect(try store(1) == [true])
        for highest in ["-1", "4294967296", "9223372036854775807"] {
            try change("spool", "UPDATE once_record SET highest = \(highest), used = 9223372036854775807")
            #expect(try store(5) == [true])
            #expect(try store(5) == [false])
        }
        #expect(told.has("“highest”"))
    }

    @Test func sinks() throws {
        let spool = try spool(1)
        _ = try spool.register(sinks: ["http"])
        try change("spool", "UPDATE sink SET position = -9223372036854775808, batch_end = -1")
        #expect(try spool.passed(byAll: ["http"]) == 0)
        let claim = try spool.ownClaim("http")
        #expect(claim.start.position == 0)
        try claim.passed(from: 0, through: 1, refused: [:])
        #expect(try spool.position(of: "http") == 1)
        try change("spool", "UPDATE identity SET name = 'a' || char(10)")
        storageError("“name”") { _ = try spool.identity() }
    }

    @Test func messagesToDevices() throws {
        let queue = try DownlinkQueue(path: scratch.file("queue"), now: 0)
        let ids = try (1...4).map {
            try queue.add(Array("\($0)".utf8), for: device, expiresAt: 100, now: 0).id
        }
        try change(
            "queue", "UPDATE message SET device = x'01' WHERE id = \(ids[0])",
            "UPDATE message SET queued_at = -9223372036854775808, expires_at = 9223372036854775807 WHERE id = \(ids[1])",
            "UPDATE message SET state = 'lost' WHERE id = \(ids[3])")
        #expect(try queue.waitingDevices() == [device])
        storageError("“device”") { _ = try queue.entry(ids[0]) }
        storageError("“state”") { _ = try queue.entry(ids[3]) }
        #expect(try queue.take(for: device, limit: 9, now: 0).map(\.id) == [ids[1], ids[2]])
        #expect(try queue.expire(now: 100) == [ids[0]: .failed])
        #expect(try queue.load().messages == 3)
    }

    @Test(arguments: [
        "epoch = -1", "kind = 'other'", "device = x'01'", "key = x'01'", "key_form = 'other'",
    ])
    func aDevicesState(what: String) throws {
        let path = scratch.file("state")
        try DeviceState(path: path).save(.evolving(device: device, key: .random()))
        try change("state", "UPDATE credential SET \(what)")
        // Most is found when the file is opened.
        #expect(throws: OuroborosError.self) { try DeviceState(path: path).credential() }
    }

    @Test func anOutbox() throws {
        let path = scratch.file("state")
        do {
            let outbox = try Outbox(in: try DeviceState(path: path))
            try outbox.append([[1], [2], [3]])
        }
        try change(
            "state", "UPDATE outbox_message SET box = -5 WHERE payload = x'01'",
            "UPDATE outbox_message SET seq = 4294967296 WHERE payload = x'02'",
            "UPDATE outbox_message SET queued_at = -9223372036854775808 WHERE payload = x'03'")
        let outbox = try Outbox(in: try DeviceState(path: path))
        #expect(try outbox.takeNext(limit: 10).map(\.payload) == [[3]])
        #expect(try outbox.summary().messages == 1)
        #expect(try outbox.summary().dropped == 2)
    }
}
