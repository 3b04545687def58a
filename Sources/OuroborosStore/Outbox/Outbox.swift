import Foundation
import GRDB
import LibC
import Ouroboros

/// Messages that a device keeps in its state file until the gateway acknowledged them.
///
/// They are sent with ONCE (PROTOCOL.md, section 6): a gateway that keeps a spool hands each on once, across
/// sessions, crashes and restarts of either side. When the outbox is full the oldest are dropped, and counted.
public final class Outbox: Sendable {
    public struct Limits: Sendable, Hashable {
        public var messages = 100_000
        public var bytes = 64 << 20
        /// Seconds.
        public var age: Int64 = 7 * 86_400

        public init() {}
    }

    /// A message that waits.
    public struct Entry: Sendable, Hashable {
        public let id: Int64
        public let position: OutboxPosition
        /// Seconds since 1970.
        public let queuedAt: Int64
        public let payload: [UInt8]
    }

    public struct Summary: Sendable, Hashable {
        public let box: UInt32
        public let nextSequence: UInt64
        public let messages: Int
        public let bytes: Int
        /// Seconds since 1970; nil when there is none.
        public let oldest: Int64?
        /// In all the time of the outbox.
        public let dropped: Int64
    }

    /// The largest message that a packet takes beside its place in the outbox.
    public static let mostMessageBytes = 1200 - 8

    /// How far ahead of the lowest unacknowledged message of a box one may be sent.
    private static let reach: Int64 = 64
    /// 2020: a clock before that was not set when the message was queued, so its age is not known.
    private static let firstCredibleTime: Int64 = 1_577_836_800

    private struct Memory {
        /// In the file, without those that have left.
        var messages: Int
        var bytes: Int
        var left = Left()
        var unsaved = UnsavedBox(box: UInt32.random(in: 1...UInt32.max))
        var inFlight: Set<Int64> = []
        /// Those of them that do not get through, though others do.
        var stalled: Set<Int64> = []
        var wake: (@Sendable () -> Void)?

        var isEmpty: Bool { messages == 0 && unsaved.isEmpty }
    }

    /// What has left the outbox and could not be taken out of the file yet.
    private struct Left {
        var ids: Set<Int64> = []
        var dropped = 0

        /// For SQL's `json_each`.
        var list: String { "[" + ids.map(String.init).joined(separator: ",") + "]" }
    }

    private let database: StoreDatabase
    private let limits: Limits
    private let memory: Locked<Memory>
    // The file belongs to one process for as long as this lives.
    private let state: DeviceState

    public init(in state: DeviceState, limits: Limits = .init()) throws {
        guard limits.messages > 0, limits.bytes > 0, limits.age > 0 else {
            throw OuroborosError(.invalidConfiguration, "an outbox has room for one message at least")
        }
        self.state = state
        self.limits = limits
        database = state.database
        memory = Locked(
            try database.write { database in
                if try Row.fetchOne(database, sql: "SELECT 1 FROM outbox") == nil {
                    try Self.beginBox(database)
                }
                try Self.dropUnreadable(database)
                let row = try Row.fetchOne(
                    database,
                    sql: """
                        SELECT COUNT(*) AS messages, ifnull(SUM(length(payload)), 0) AS bytes FROM outbox_message
                        """)
                let load = try SpoolLoad(row?.of("outbox_message"))
                return Memory(messages: load.messages, bytes: load.bytes)
            })
    }

    private static func beginBox(_ database: Database) throws {
        try database.execute(
            sql: """
                INSERT INTO outbox (only, box, next_seq) VALUES (1, ?, 0)
                ON CONFLICT (only) DO UPDATE SET box = excluded.box, next_seq = 0
                """, arguments: [UInt32.random(in: 1...UInt32.max)])
    }

    /// What has no place in a box can never be sent, and would hold back what can.
    private static func dropUnreadable(_ database: Database) throws {
        try database.execute(
            sql: """
                DELETE FROM outbox_message
                WHERE box NOT BETWEEN 1 AND 4294967295 OR seq NOT BETWEEN 0 AND 4294967295
                """)
        if database.changesCount > 0 {
            try database.execute(
                sql: "UPDATE outbox SET dropped = min(dropped, 1 << 62) + ?",
                arguments: [database.changesCount])
        }
    }

    public var isEmpty: Bool { memory.withLock(\.isEmpty) }

    /// Messages that are in memory alone, as the file could not be written.
    public var unsaved: Int { memory.withLock(\.unsaved.entries.count) }

    /// Messages that have left the outbox and are in the file still, as it could not be written: they would be sent again.
    public var unremoved: Int { memory.withLock(\.left.ids.count) }

    /// Is called when there is something more to send.
    func onMore(_ wake: (@Sendable () -> Void)?) {
        memory.withLock { $0.wake = wake }
    }

    /// Queues messages, which are durable when this returns; gives how many old ones made room for them.
    @discardableResult
    public func append(_ payloads: [[UInt8]]) throws -> Int {
        try append(payloads, orHold: false).dropped
    }

    /// The same; while the file cannot be written they wait in memory, which is bounded, and go out from there.
    public func appendOrHold(_ payloads: [[UInt8]]) throws -> (dropped: Int, isSaved: Bool) {
        try append(payloads, orHold: true)
    }

    /// Whether memory has room for them, should the file not be written: else the oldest would be dropped there.
    package func mayHold(_ payloads: [[UInt8]]) -> Bool {
        memory.withLock { $0.unsaved.hasRoom(for: payloads) }
    }

    private func append(_ payloads: [[UInt8]], orHold: Bool) throws -> (dropped: Int, isSaved: Bool) {
        for payload in payloads where payload.count > Self.mostMessageBytes {
            throw OuroborosError.tooLarge(payload.count, limit: Self.mostMessageBytes)
        }
        let now = Int64(time(nil))
        let (dropped, isSaved, wake) = try memory.withLock { memory in
            do {
                return (try save(payloads, now, &memory), true, memory.wake)
            } catch let error as OuroborosError where error.code == .busy && orHold {
                let dropped = payloads.reduce(0) { $0 + memory.unsaved.append($1, queuedAt: now) }
                return (dropped, false, memory.wake)
            }
        }
        wake?()
        return (dropped, isSaved)
    }

    /// With them goes what could not be written before.
    private func save(_ payloads: [[UInt8]], _ now: Int64, _ memory: inout Memory) throws -> Int {
        let held = memory.unsaved.unsent
        var new = memory
        let dropped = try database.write { database in
            try Self.takeOut(memory.left, database)
            for entry in held {
                try Self.insert(entry.payload, entry.queuedAt, database)
            }
            for payload in payloads {
                try Self.insert(payload, now, database)
            }
            new.messages += held.count + payloads.count
            new.bytes += (held.map(\.payload) + payloads).reduce(0) { $0 + $1.count }
            return try makeRoom(&new, now, database)
        }
        new.left = Left()
        new.unsaved.remove(held.map(\.id))
        memory = new
        return dropped
    }

    private static func insert(_ payload: [UInt8], _ now: Int64, _ database: Database) throws {
        let next = try database.cachedStatement(sql: "SELECT next_seq FROM outbox")
        if try Int64.fetchOne(next) == Int64(UInt32.max) + 1 {
            try beginBox(database)
        }
        try database.cachedStatement(
            sql: """
                INSERT INTO outbox_message (box, seq, queued_at, payload) SELECT box, next_seq, ?, ? FROM outbox
                """
        ).execute(arguments: [now, Data(payload)])
        try database.cachedStatement(sql: "UPDATE outbox SET next_seq = next_seq + 1").execute()
    }

    /// Drops the oldest: a message under way has gone out, and is left.
    private func makeRoom(_ memory: inout Memory, _ now: Int64, _ database: Database) throws -> Int {
        let oldest = try Row.fetchCursor(
            database, sql: "SELECT id, queued_at, length(payload) AS size FROM outbox_message ORDER BY id")
        var dropped: [Int64] = []
        while let row = try oldest.next() {
            let row = row.of("outbox_message")
            let queuedAt = try row.seconds("queued_at")
            let isOld = queuedAt >= Self.firstCredibleTime && now - queuedAt > limits.age
            guard isOld || memory.messages > limits.messages || memory.bytes > limits.bytes else { break }
            let id = try row.integer("id")
            if memory.inFlight.contains(id) { continue }
            dropped.append(id)
            memory.messages -= 1
            memory.bytes -= try row.number("size")
        }
        for id in dropped {
            try database.execute(sql: "DELETE FROM outbox_message WHERE id = ?", arguments: [id])
        }
        if !dropped.isEmpty {
            try database.execute(
                sql: "UPDATE outbox SET dropped = dropped + ?", arguments: [dropped.count])
        }
        return dropped.count
    }

    /// The next messages to send, in order; they count as under way until ``delivered(_:)`` or ``notDelivered(_:)``.
    /// None is 64 or more above the lowest one of its box that is neither acknowledged nor stalled.
    public func takeNext(limit: Int) throws -> [Entry] {
        try memory.withLock { memory in
            // Each box waits until the one before is empty.
            guard memory.messages > 0 else {
                let next = memory.unsaved.take(
                    limit: limit, reach: Self.reach, underWay: memory.inFlight, stalled: memory.stalled)
                memory.inFlight.formUnion(next.map(\.id))
                return next
            }
            guard !memory.unsaved.entries.contains(where: { memory.inFlight.contains($0.id) }) else {
                return []
            }
            let entries = try database.read { database -> [Entry] in
                let left = memory.left.list
                guard
                    let lowest = try Row.fetchOne(
                        database,
                        sql: """
                            SELECT box, seq FROM outbox_message WHERE id NOT IN (SELECT value FROM json_each(?))
                            ORDER BY id LIMIT 1
                            """, arguments: [left])?.of("outbox_message")
                else { return [] }
                // A box that follows a full one waits until that is empty.
                let box = try lowest.integer("box")
                let rows = try Row.fetchAll(
                    database,
                    sql: """
                        SELECT * FROM outbox_message
                        WHERE box = ? AND id NOT IN (SELECT value FROM json_each(?)) ORDER BY seq LIMIT ?
                        """, arguments: [box, left, Int(Self.reach) + memory.stalled.count])
                let entries = try rows.map(Self.entry)
                guard let first = entries.first(where: { !memory.stalled.contains($0.id) }) else { return [] }
                let end = Int64(first.position.sequence) + Self.reach
                return entries.filter { Int64($0.position.sequence) < end }
            }
            let next = Array(entries.filter { !memory.inFlight.contains($0.id) }.prefix(limit))
            memory.inFlight.formUnion(next.map(\.id))
            return next
        }
    }

    private static func entry(_ row: Row) throws -> Entry {
        let row = row.of("outbox_message")
        guard let position = try row.position(box: "box", sequence: "seq") else {
            throw row.wrong("seq", "is missing")
        }
        return Entry(
            id: try row.integer("id"), position: position, queuedAt: try row.seconds("queued_at"),
            payload: Array(try row.bytes("payload")))
    }

    /// They were acknowledged, and leave the outbox.
    public func delivered(_ entries: [Entry]) throws {
        try remove(entries, countingAsDropped: false)
    }

    /// The gateway does not take messages as large as these.
    public func refused(_ entries: [Entry]) throws {
        try remove(entries, countingAsDropped: true)
    }

    private func remove(_ entries: [Entry], countingAsDropped: Bool) throws {
        guard !entries.isEmpty else { return }
        try memory.withLock { memory in
            let saved = entries.filter { !UnsavedBox.holds($0) }
            var left = memory.left
            left.ids.formUnion(saved.map(\.id))
            left.dropped += countingAsDropped ? entries.count : 0
            do {
                try database.write { try Self.takeOut(left, $0) }
                left = Left()
            } catch let error as OuroborosError where error.code == .busy {
                // It is taken out with what leaves next.
            }
            memory.left = left
            memory.messages -= saved.count
            memory.bytes -= saved.reduce(0) { $0 + $1.payload.count }
            memory.unsaved.remove(entries.map(\.id))
            memory.inFlight.subtract(entries.map(\.id))
            memory.stalled.subtract(entries.map(\.id))
        }
    }

    private static func takeOut(_ left: Left, _ database: Database) throws {
        for id in left.ids {
            try database.cachedStatement(sql: "DELETE FROM outbox_message WHERE id = ?")
                .execute(arguments: [id])
        }
        if left.dropped > 0 {
            try database.execute(
                sql: "UPDATE outbox SET dropped = dropped + ?", arguments: [left.dropped])
        }
    }

    /// They were not sent, or may have arrived: they are sent again, with the same position.
    public func notDelivered(_ entries: [Entry]) {
        memory.withLock { memory in
            memory.inFlight.subtract(entries.map(\.id))
            memory.stalled.subtract(entries.map(\.id))
        }
    }

    /// It is under way and does not get through, though others do: it holds none of them back.
    func stalled(_ entry: Entry) {
        memory.withLock { memory in
            if memory.inFlight.contains(entry.id) { memory.stalled.insert(entry.id) }
        }
    }

    /// Of what is in the file.
    public func summary() throws -> Summary {
        let left = memory.withLock(\.left.list)
        return try database.read { database in
            let box = try Row.fetchOne(database, sql: "SELECT box, next_seq, dropped FROM outbox")?.of(
                "outbox")
            let queued = try Row.fetchOne(
                database,
                sql: """
                    SELECT COUNT(*) AS messages, ifnull(SUM(length(payload)), 0) AS bytes, MIN(queued_at) AS oldest
                    FROM outbox_message WHERE id NOT IN (SELECT value FROM json_each(?))
                    """, arguments: [left])?.of("outbox_message")
            let load = try SpoolLoad(queued)
            return Summary(
                box: try box?.number("box") ?? 0, nextSequence: try box?.number("next_seq") ?? 0,
                messages: load.messages, bytes: load.bytes, oldest: try queued?.optionalSeconds("oldest"),
                dropped: try box?.integer("dropped") ?? 0)
        }
    }

    /// What waits, oldest first, after the message with that id.
    public func entries(after id: Int64 = 0, limit: Int = 1000) throws -> [Entry] {
        try database.read { database in
            try Row.fetchAll(
                database, sql: "SELECT * FROM outbox_message WHERE id > ? ORDER BY id LIMIT ?",
                arguments: [id, limit]
            ).map(Self.entry)
        }
    }

    /// Throws away what waits, and begins a new box; gives how many messages that were.
    public func clear() throws -> Int {
        try memory.withLock { memory in
            try database.write { database in
                try database.execute(sql: "DELETE FROM outbox_message")
                try Self.beginBox(database)
            }
            defer { memory = Memory(messages: 0, bytes: 0, wake: memory.wake) }
            return memory.messages
        }
    }
}
