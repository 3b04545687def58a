import Foundation
import GRDB
import Ouroboros

/// A message as a spool holds it.
public struct SpooledMessage: Sendable, Hashable {
    /// It grows with each message.
    public let id: Int64
    /// Milliseconds since 1970.
    public let receivedAt: Int64
    public let device: DeviceID
    public let sessionID: UInt32
    public let counter: UInt64
    public let position: OutboxPosition?
    public let payload: [UInt8]

    package init(
        id: Int64, receivedAt: Int64, device: DeviceID, sessionID: UInt32, counter: UInt64,
        position: OutboxPosition?, payload: [UInt8]
    ) {
        self.id = id
        self.receivedAt = receivedAt
        self.device = device
        self.sessionID = sessionID
        self.counter = counter
        self.position = position
        self.payload = payload
    }
}

extension SpooledMessage {
    init(_ row: FileRow) throws {
        self.init(
            id: try row.integer("id"), receivedAt: try row.milliseconds("received_at"),
            device: try row.device("device"), sessionID: try row.number("session"),
            counter: try row.number("counter"), position: try row.position(box: "box", sequence: "seq"),
            payload: Array(try row.bytes("payload")))
    }
}

/// A gateway's durable memory of what came, in an SQLite file, and of which messages of an outbox came.
///
/// A message and the record that it came are one transaction: with senders that keep an outbox each is here once,
/// across sessions, crashes and restarts of either side.
public final class Spool: Sendable {
    let database: StoreDatabase
    package let unreadable = UnreadableRows()
    /// A connection of its own: sinks read on while a write waits.
    let reads: StoreReader

    public init(path: String) throws {
        database = try StoreDatabase(path: path, purpose: .spool, isExclusive: false)
        reads = try StoreReader(database)
    }

    deinit {
        // The last one to close empties the write-ahead log, and one that only reads does not.
        try? reads.queue.close()
        try? database.queue.close()
    }

    /// Stores messages in one transaction, which is durable when this returns; gives which of them are new. The
    /// others came before: they are to be acknowledged and not handed on. `now` is in milliseconds since 1970.
    ///
    /// The messages of a packet come one after the other, as the server gives them.
    public func store(_ messages: [(device: DeviceID, message: Message)], now: Int64) throws -> [Bool] {
        try database.write { database in
            try Self.store(
                messages, take: { try take($0, $1, database) },
                insert: { try Self.insert($0, of: $1, now, database) })
        }
    }

    private static func insert(
        _ message: Message, of device: DeviceID, _ now: Int64, _ database: Database
    ) throws {
        let statement = try database.cachedStatement(
            sql: """
                INSERT INTO message (received_at, device, session, counter, box, seq, payload)
                VALUES (?, ?, ?, ?, ?, ?, ?)
                """)
        try statement.execute(arguments: [
            now, Data(device.bytes), message.sessionID, Int64(clamping: message.counter),
            message.position?.box,
            message.position?.sequence, Data(message.payload),
        ])
    }

    /// What cannot be read is begun anew: a message may come twice then, and none is lost.
    private func take(
        _ position: OutboxPosition, _ device: DeviceID, _ database: Database
    ) throws -> Bool {
        let id = Data(device.bytes)
        let find = try database.cachedStatement(
            sql: "SELECT highest, below FROM once_record WHERE device = ? AND box = ?")
        let row = try Row.fetchOne(find, arguments: [id, position.box])
        let known = try unreadable.readable([row?.of("once_record")].compactMap(\.self)) { row in
            OnceRecord(
                highest: try row.number("highest"), below: UInt64(bitPattern: try row.integer("below")))
        }.first
        var record = known ?? OnceRecord(first: position.sequence)
        let isNew = known == nil || record.take(position.sequence)
        // A repeat counts as use too.
        let put = try database.cachedStatement(
            sql: """
                INSERT OR REPLACE INTO once_record (device, box, highest, below, used)
                VALUES (?1, ?2, ?3, ?4,
                    (SELECT min(ifnull(max(used), 0), 1 << 62) + 1 FROM once_record WHERE device = ?1))
                """)
        try put.execute(arguments: [
            id, position.box, Int64(record.highest), Int64(bitPattern: record.below),
        ])
        if row == nil {
            let forget = try database.cachedStatement(
                sql: """
                    DELETE FROM once_record WHERE device = ?1 AND box NOT IN
                        (SELECT box FROM once_record WHERE device = ?1 ORDER BY used DESC LIMIT ?2)
                    """)
            try forget.execute(arguments: [id, OnceRecord.boxesPerDevice])
        }
        return isNew
    }

    /// Messages after the one with that id, oldest first.
    public func messages(after id: Int64 = 0, limit: Int = 1000) throws -> [SpooledMessage] {
        var last = id
        while true {
            let page = try page(after: last, limit: limit)
            guard page.messages.isEmpty, let end = page.end else { return page.messages }
            last = end
        }
    }

    public func page(after id: Int64, limit: Int) throws -> SpoolPage {
        try reads.read { database in
            let rows = try Row.fetchAll(
                database, sql: "SELECT * FROM message WHERE id > ? ORDER BY id LIMIT ?",
                arguments: [id, limit]
            ).map { $0.of("message") }
            return try SpoolPage(rows, id: { try $0.integer("id") }, message: SpooledMessage.init)
        }
    }

    /// Removes the messages up to that id, which were worked off; what is known of boxes stays. Gives how many.
    public func remove(through id: Int64) throws -> Int {
        try database.write { database in
            try database.execute(sql: "DELETE FROM message WHERE id <= ?", arguments: [id])
            return database.changesCount
        }
    }
}
