import Foundation
import Ouroboros
import OuroborosStore

/// The spool of gateways that share a database: a message, and the record that it came, are one transaction, whichever
/// gateway it came to. No gateway waits for another, unless both have messages of one outbox.
///
/// Ids are given away before they are committed, and so may be committed in another order. Whoever stores holds a mark,
/// an advisory lock, which says above which id its own will be; who reads goes no further than the lowest mark.
public struct PostgresMessages: MessageStore, ReadsRows {
    let store: PostgresStore
    let boxes = KnownBoxes()

    public init(_ store: PostgresStore) {
        self.store = store
    }

    package var unreadable: UnreadableRows { store.unreadable }

    private static let pause = Duration.milliseconds(200)

    /// While the database is away it waits: the messages stay unconfirmed, and the devices keep them.
    public func store(
        _ messages: [(device: DeviceID, message: Message)], now: Int64
    ) async throws -> [Bool] {
        let batch = PostgresBatch(messages, now: now, boxes, unreadable)
        while true {
            do {
                return try await store.database.run { try batch.store(over: $0) }
            } catch {
                guard PostgresDatabase.isAway(error) else { throw error }
            }
            try await Task.sleep(for: Self.pause)
        }
    }

    public func messages(after id: Int64, limit: Int) async throws -> [SpooledMessage] {
        var last = id
        while true {
            let page = try await page(after: last, limit: limit)
            guard page.messages.isEmpty, let end = page.end else { return page.messages }
            last = end
        }
    }

    public func page(after id: Int64, limit: Int) async throws -> SpoolPage {
        try await store.database.run { connection in
            // In this order: a mark that is set later stands for ids above the last one, and what is committed by the time
            // that the marks are read is seen after that.
            let answers = try connection.run([
                PostgresStatement("SELECT last_value FROM ouroboros.message_id_seq"), Self.lowestMark,
                PostgresStatement(
                    "SELECT \(Self.columns) FROM ouroboros.message WHERE id > $1 ORDER BY id LIMIT $2",
                    [.integer(id), .integer(Int64(limit))]),
            ])
            let given = try answers[0].rows(of: "message_id_seq").first?.integer(0) ?? 0
            let mark = try answers[1].rows(of: "pg_locks").first?.optionalInteger(0) ?? .max
            let rows = try answers[2].rows(of: "message").prefix { try $0.integer(0) <= min(given, mark) }
            return try SpoolPage(rows, id: { try $0.integer(0) }, message: Self.message)
        }
    }

    private static let lowestMark = PostgresStatement(
        """
        SELECT min((classid::bigint << 32 | objid::bigint) - $1) FROM pg_locks
        WHERE locktype = 'advisory' AND objsubid = 1 AND classid::bigint >> 16 = $1 >> 48
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        """, [.integer(RegistrySchema.Lock.spoolMarks)])

    static let columns = "id, received_at, device, session, counter, box, seq, payload"

    /// From ``columns``.
    static func message(_ row: PostgresRow) throws -> SpooledMessage {
        SpooledMessage(
            id: try row.integer(0), receivedAt: try row.milliseconds(1), device: try row.device(2),
            sessionID: try row.number(3), counter: try row.number(4),
            position: try row.position(box: 5, sequence: 6),
            payload: Array(try row.bytes(7)))
    }

    public func remove(through id: Int64) async throws -> Int {
        try await store.database.run { connection in
            let answers = try connection.run([
                PostgresStatement("DELETE FROM ouroboros.message WHERE id <= $1", [.integer(id)]),
                // Nobody asks for an answer that late.
                PostgresStatement(
                    "DELETE FROM ouroboros.stored_batch WHERE at < clock_timestamp() - interval '1 hour'"),
            ])
            return answers[0].changed
        }
    }
}
