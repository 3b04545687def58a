import Foundation
import GRDB
import Ouroboros
import OuroborosTesting
import TestSupport
import Testing

@testable import OuroborosStore

@Suite struct OnceRecordTests {
    /// The rule as the protocol words it, with a memory of everything.
    private struct Model {
        var seen: Set<UInt32> = []
        var highest: UInt32?

        mutating func take(_ sequence: UInt32) -> Bool {
            if let highest, sequence < highest, highest - sequence > 64 { return false }
            highest = max(highest ?? 0, sequence)
            return seen.insert(sequence).inserted
        }
    }

    @Test(arguments: 1...20) func itDoesWhatTheRuleSays(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var model = Model()
        var middle: UInt32 = seed.isMultiple(of: 2) ? 0 : .max - 600
        var record: OnceRecord?
        for _ in 0..<3000 {
            middle += UInt32.random(in: 0...20, using: &random) == 0 ? .random(in: 0...70, using: &random) : 0
            if middle > .max - 100 { break }
            let sequence = UInt32(
                clamping: Int64(middle) + Int64.random(in: -80...5, using: &random))
            let expected = model.take(sequence)
            if record == nil {
                record = OnceRecord(first: sequence)
                #expect(expected)
            } else {
                let isNew = record?.take(sequence)
                #expect(isNew == expected, "seed \(seed), \(sequence)")
            }
        }
    }

    @Test func theEdges() {
        var record = OnceRecord(first: 64)
        let steps: [(UInt32, Bool)] = [
            (64, false), (0, true), (0, false), (128, true), (64, false), (65, true), (63, false),
            (.max, true), (.max - 64, true), (.max - 64, false), (.max - 65, false),
        ]
        for (sequence, expected) in steps {
            let isNew = record.take(sequence)
            #expect(isNew == expected, "\(sequence)")
        }
    }
}

@Suite struct SpoolTests {
    let scratch: Scratch
    let device = DeviceID(number: 1)

    init() throws {
        scratch = try Scratch()
    }

    private func spool() throws -> Spool { try Spool(path: scratch.file("spool")) }

    private func message(
        _ text: String, session: UInt32 = 1, counter: UInt64, box: UInt32? = 9, _ sequence: UInt32 = 0,
        isLast: Bool = true
    ) -> Message {
        Message(
            sessionID: session, counter: counter, payload: Array(text.utf8),
            position: box.map { OutboxPosition(box: $0, sequence: sequence) }, isLastOfPacket: isLast)
    }

    private func texts(_ spool: Spool) throws -> [String] {
        try spool.messages().map { String(decoding: $0.payload, as: UTF8.self) }
    }

    @Test func aMessageOfAnOutboxIsStoredOnce() throws {
        var spool: Spool? = try spool()
        #expect(try spool?.store([(device, message("a", counter: 0))], now: 1) == [true])
        // Another session, another start of the gateway, another device.
        spool = nil
        let again = try self.spool()
        #expect(
            try again.store(
                [
                    (device, message("a", session: 2, counter: 0)),
                    (DeviceID(number: 2), message("a of another", session: 3, counter: 0)),
                    (device, message("b", session: 2, counter: 1, 1)),
                    (device, message("a", session: 2, counter: 2)),
                    (device, message("a of another box", session: 2, counter: 3, box: 10)),
                ], now: 2) == [false, true, true, false, true])
        #expect(try texts(again) == ["a", "a of another", "b", "a of another box"])
    }

    @Test func withoutAPositionEachIsStored() throws {
        let spool = try spool()
        for counter: UInt64 in 0..<2 {
            #expect(try spool.store([(device, message("x", counter: counter, box: nil))], now: 5) == [true])
        }
        let stored = try spool.messages()
        #expect(stored.map(\.counter) == [0, 1])
        #expect(stored[0].position == nil)
        #expect(stored[0].receivedAt == 5)
        #expect(stored[0].sessionID == 1)
    }

    @Test func theItemsOfABatchBelongTogether() throws {
        let spool = try spool()
        let batch = [
            (device, message("a", counter: 0, isLast: false)),
            (device, message("b", counter: 0, isLast: false)), (device, message("c", counter: 0)),
        ]
        #expect(try spool.store(batch, now: 0) == [true, true, true])
        let again = batch.map { ($0.0, message("again", session: 2, counter: 7, isLast: false)) }
        #expect(try spool.store(again, now: 0) == [false, false, false])
        #expect(try texts(spool) == ["a", "b", "c"])
    }

    @Test func fourBoxesAreRemembered() throws {
        let spool = try spool()
        var counter: UInt64 = 0
        func isNew(_ box: UInt32) throws -> Bool {
            counter += 1
            return try spool.store([(device, message("x", counter: counter, box: box))], now: 0) == [true]
        }
        for box: UInt32 in 1...4 { #expect(try isNew(box)) }
        // A repeat is use: box 2 is the oldest now, and makes room for box 5.
        #expect(try !isNew(1))
        #expect(try isNew(5))
        for box: UInt32 in [1, 3, 4, 5] { #expect(try !isNew(box)) }
        #expect(try isNew(2))
    }

    @Test func aFailedTransactionLeavesNoRecord() throws {
        let spool = try spool()
        let queue = try DatabaseQueue(path: scratch.file("spool"))
        try queue.write {
            try $0.execute(
                sql: """
                    CREATE TRIGGER refuse BEFORE INSERT ON message WHEN new.payload = CAST('bad' AS BLOB)
                    BEGIN SELECT RAISE(ABORT, 'no'); END
                    """)
        }
        let both = [(device, message("good", counter: 0)), (device, message("bad", counter: 1, 1))]
        #expect(throws: OuroborosError.self) { try spool.store(both, now: 0) }
        #expect(try texts(spool) == [])
        try queue.write { try $0.execute(sql: "DROP TRIGGER refuse") }
        #expect(try spool.store(both, now: 0) == [true, true])
    }

    @Test func whatWasWorkedOffStaysKnown() throws {
        let spool = try spool()
        for number: UInt32 in 0..<5 {
            _ = try spool.store([(device, message("\(number)", counter: UInt64(number), number))], now: 0)
        }
        let ids = try spool.messages().map(\.id)
        #expect(try spool.messages(after: ids[1], limit: 2).map(\.id) == [ids[2], ids[3]])
        #expect(try spool.remove(through: ids[4]) == 5)
        #expect(try spool.store([(device, message("4", counter: 9, 4))], now: 0) == [false])
        #expect(try spool.store([(device, message("5", counter: 10, 5))], now: 0) == [true])
        #expect(try spool.messages().allSatisfy { $0.id > ids[4] })
    }

    @Test func aSpoolOfBeforeThereWereSinksIsBroughtUpToDate() throws {
        var spool: Spool? = try spool()
        _ = try spool?.store([(device, message("a", counter: 0))], now: 1)
        spool = nil
        let queue = try DatabaseQueue(path: scratch.file("spool"))
        try queue.write {
            try $0.execute(
                sql: "DROP TABLE sink; DROP TABLE identity; DROP TABLE dead_letter; PRAGMA user_version = 1")
        }
        let again = try self.spool()
        #expect(try texts(again) == ["a"])
        #expect(try again.register(sinks: ["file"])["file"]?.position == 0)
        #expect(try again.identity().count == 16)
        #expect(try again.identity() == self.spool().identity())
    }

    @Test func aFullDiskChangesNothing() throws {
        let path = scratch.file("gw.sqlite")
        let store = try GatewayStore(path: path)
        try store.add(.fixed(device: device, rootKey: .random()), name: "first")
        try store.database.queue.writeWithoutTransaction { database in
            let pages = try Int.fetchOne(database, sql: "PRAGMA page_count") ?? 0
            try database.execute(sql: "PRAGMA max_page_count = \(pages)")
        }
        let many = (2...500).map { number in
            StoredDevice(
                credential: .fixed(device: DeviceID(number: number), rootKey: .random()), name: "more",
                addedAt: 0)
        }
        let error = #expect(throws: OuroborosError.self) { try store.add(many) }
        #expect(error?.message.contains("disk is full") == true)
        #expect(try store.list().map(\.name) == ["first"])
    }
}
