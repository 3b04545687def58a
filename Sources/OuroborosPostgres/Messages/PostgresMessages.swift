import Foundation
import Ouroboros
import OuroborosStore

/// The spool of gateways that share a database: a message, and the record that it came, are one transaction, whichever
/// gateway it came to.
public struct PostgresMessages: MessageStore {
    let store: PostgresStore

    public init(_ store: PostgresStore) {
        self.store = store
    }

    /// While the database is away it waits: the messages stay unconfirmed, and the devices keep them.
    public func store(
        _ messages: [(device: DeviceID, message: Message)], now: Int64
    ) async throws -> [Bool] {
        while true {
            do {
                return try await store.database.run { connection in
                    try connection.transaction { try Self.store(messages, now, connection) }
                }
            } catch {
                guard PostgresDatabase.isAway(error) else { throw error }
                try await Task.sleep(for: .milliseconds(200))
            }
        }
    }

    private static func store(
        _ messages: [(device: DeviceID, message: Message)], _ now: Int64, _ connection: PostgresConnection
    ) throws -> [Bool] {
        try connection.query("SELECT pg_advisory_xact_lock(\(RegistrySchema.Lock.spool.rawValue))")
        var new: [(device: DeviceID, message: Message)] = []
        let isNew = try store(
            messages, take: { try take($0, $1, connection) }, insert: { new.append(($1, $0)) })
        try insert(new, now, connection)
        return isNew
    }

    /// One statement for all, which numbers them in their order.
    private static func insert(
        _ new: [(device: DeviceID, message: Message)], _ now: Int64, _ connection: PostgresConnection
    ) throws {
        guard !new.isEmpty else { return }
        func column(_ value: (Message) -> Int64?) -> PostgresValue {
            .integers(new.map { value($0.message) })
        }
        try connection.query(
            """
            INSERT INTO ouroboros.message (received_at, device, session, counter, box, seq, payload)
            SELECT $1, device, session, counter, box, seq, payload
            FROM unnest($2, $3, $4, $5, $6, $7) WITH ORDINALITY
                AS new (device, session, counter, box, seq, payload, place)
            ORDER BY place
            """,
            [
                .integer(now), .byteStrings(new.map { Data($0.device.bytes) }),
                column { Int64($0.sessionID) }, column { Int64($0.counter) },
                column { $0.position.map { Int64($0.box) } },
                column { $0.position.map { Int64($0.sequence) } },
                .byteStrings(new.map { Data($0.message.payload) }),
            ])
    }

    /// The spool's lock is held: no other gateway reads or writes records now.
    private static func take(
        _ position: OutboxPosition, _ device: DeviceID, _ connection: PostgresConnection
    ) throws -> Bool {
        let box = PostgresValue.integer(Int64(position.box))
        let row = try connection.query(
            "SELECT highest, below FROM ouroboros.once_record WHERE device = $1 AND box = $2",
            [device.value, box]
        ).rows.first
        var record = OnceRecord(first: position.sequence)
        var isNew = true
        if let row {
            record = OnceRecord(
                highest: UInt32(truncatingIfNeeded: try row.integer(0)),
                below: UInt64(bitPattern: try row.integer(1)))
            isNew = record.take(position.sequence)
        }
        // A repeat counts as use too.
        try connection.query(
            """
            INSERT INTO ouroboros.once_record (device, box, highest, below, used)
            VALUES ($1, $2, $3, $4, (SELECT coalesce(max(used), 0) + 1 FROM ouroboros.once_record WHERE device = $1))
            ON CONFLICT (device, box) DO UPDATE SET highest = excluded.highest, below = excluded.below,
                used = excluded.used
            """,
            [
                device.value, box, .integer(Int64(record.highest)), .integer(Int64(bitPattern: record.below)),
            ])
        if row == nil {
            try connection.query(
                """
                DELETE FROM ouroboros.once_record WHERE device = $1 AND box NOT IN
                    (SELECT box FROM ouroboros.once_record WHERE device = $1 ORDER BY used DESC LIMIT $2)
                """, [device.value, .integer(Int64(OnceRecord.boxesPerDevice))])
        }
        return isNew
    }

    public func messages(after id: Int64, limit: Int) async throws -> [SpooledMessage] {
        try await store.database.run { connection in
            try connection.query(
                """
                SELECT id, received_at, device, session, counter, box, seq, payload FROM ouroboros.message
                WHERE id > $1 ORDER BY id LIMIT $2
                """, [.integer(id), .integer(Int64(limit))]
            ).rows.map { try Self.message($0) }
        }
    }

    /// From `id, received_at, device, session, counter, box, seq, payload`.
    static func message(_ row: PostgresRow) throws -> SpooledMessage {
        let box = try row.optionalInteger(5).map { UInt32(truncatingIfNeeded: $0) }
        let sequence = try row.optionalInteger(6).map { UInt32(truncatingIfNeeded: $0) }
        return SpooledMessage(
            id: try row.integer(0), receivedAt: try row.integer(1), device: try DeviceID(try row.bytes(2)),
            sessionID: UInt32(truncatingIfNeeded: try row.integer(3)), counter: UInt64(try row.integer(4)),
            position: box.flatMap { box in sequence.map { OutboxPosition(box: box, sequence: $0) } },
            payload: Array(try row.bytes(7)))
    }

    public func remove(through id: Int64) async throws -> Int {
        try await store.database.run { connection in
            try connection.query("DELETE FROM ouroboros.message WHERE id <= $1", [.integer(id)]).changed
        }
    }
}
