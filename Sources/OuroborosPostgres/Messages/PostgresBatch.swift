import Foundation
import Ouroboros
import OuroborosStore
import Synchronization

/// Messages on their way into the spool, however many: two ways to the database and back, in one transaction. Where the
/// answer to its commit is lost the database is asked what became of it, so that nothing is stored twice.
final class PostgresBatch: Sendable {
    struct Attempt {
        let transaction: Int64
        let isNew: [Bool]
        /// What is left of it, but for the commit.
        let statements: [PostgresStatement]
    }

    private struct Box: Hashable {
        let device: DeviceID
        let number: UInt32
    }

    /// What is known of a box; nil for one that is new.
    private typealias Records = [Box: OnceRecord?]

    private let messages: [(device: DeviceID, message: Message)]
    private let now: Int64
    private let unreadable: UnreadableRows
    private let last = Mutex<Attempt?>(nil)

    init(_ messages: [(device: DeviceID, message: Message)], now: Int64, _ unreadable: UnreadableRows) {
        self.messages = messages
        self.now = now
        self.unreadable = unreadable
    }

    /// Which of them are new; nil while an earlier try is not over.
    func store(over connection: PostgresConnection) throws -> [Bool]? {
        if let earlier = last.withLock(\.self) {
            switch try Self.outcome(of: earlier.transaction, connection) {
            case "committed": return earlier.isNew
            case "in progress": return nil
            default: last.withLock { $0 = nil }
            }
        }
        do {
            let attempt = try begin(over: connection)
            last.withLock { $0 = attempt }
            try connection.run(attempt.statements + [PostgresStatement("COMMIT")])
            return attempt.isNew
        } catch {
            connection.rollBack()
            throw error
        }
    }

    func begin(over connection: PostgresConnection) throws -> Attempt {
        let (transaction, known) = try hold(connection)
        var records = known
        var added: [(device: DeviceID, message: Message)] = []
        var taken: [Box] = []
        let isNew = PostgresMessages.store(
            messages,
            take: { position, device in
                let box = Box(device: device, number: position.box)
                taken.append(box)
                return Self.take(position.sequence, &records[box, default: nil])
            }, insert: { added.append(($1, $0)) })
        return Attempt(
            transaction: transaction, isNew: isNew,
            statements: insertion(of: added) + Self.changes(records, taken))
    }

    /// As PostgreSQL calls it. A number that it does not know yet is of a database that was restored since.
    private static func outcome(of transaction: Int64, _ connection: PostgresConnection) throws -> String {
        do {
            return try connection.query(
                "SELECT pg_xact_status($1::text::xid8)", [.text(String(transaction))]
            ).rows(of: "pg_xact_status").first?.optionalText(0) ?? "unknown"
        } catch PostgresFailure.refused {
            return "unknown"
        }
    }

    private static func take(_ sequence: UInt32, _ record: inout OnceRecord?) -> Bool {
        guard var known = record else {
            record = OnceRecord(first: sequence)
            return true
        }
        let isNew = known.take(sequence)
        record = known
        return isNew
    }

    // MARK: What is known of their boxes

    /// Holds the records of the batch's boxes, which are made where they are missing, in one order: two that hold some
    /// never wait for each other.
    private func hold(
        _ connection: PostgresConnection
    ) throws -> (transaction: Int64, records: Records) {
        let boxes = Array(
            Set(
                messages.lazy.compactMap { device, message in
                    message.position.map { Box(device: device, number: $0.box) }
                }))
        var statements = [PostgresStatement("BEGIN"), PostgresStatement("SELECT pg_current_xact_id()")]
        if !boxes.isEmpty {
            let values = Self.columns(boxes)
            statements += [
                PostgresStatement(
                    """
                    INSERT INTO ouroboros.once_record (device, box, highest, below, used)
                    SELECT device, box, -1, 0, 0 FROM unnest($1, $2) AS asked (device, box) ORDER BY device, box
                    ON CONFLICT DO NOTHING
                    """, values),
                PostgresStatement(
                    """
                    SELECT device, box, highest, below FROM ouroboros.once_record AS held
                    JOIN unnest($1, $2) AS asked (device, box) USING (device, box)
                    ORDER BY device, box FOR UPDATE OF held
                    """, values),
            ]
        }
        let answers = try connection.run(statements)
        guard let transaction = try answers[1].rows(of: "pg_current_xact_id").first?.integer(0) else {
            throw PostgresFailure.refused("it gives a transaction no number")
        }
        return (transaction, boxes.isEmpty ? [:] : try records(answers[3].rows(of: "once_record")))
    }

    /// What cannot be read is begun anew: a message may come twice then, and none is lost.
    private func records(_ rows: [PostgresRow]) throws -> Records {
        var records: Records = [:]
        _ = try unreadable.readable(rows) { row in
            let box = Box(device: try row.device(0), number: try row.number(1))
            guard try row.integer(2) != Self.nothingCame else { return }
            records[box] = OnceRecord(
                highest: try row.number(2), below: UInt64(bitPattern: try row.integer(3)))
        }
        return records
    }

    /// Of a record that this transaction made.
    private static let nothingCame: Int64 = -1

    private static func columns(_ boxes: [Box]) -> [PostgresValue] {
        [.byteStrings(boxes.map { Data($0.device.bytes) }), .integers(boxes.map { Int64($0.number) })]
    }

    // MARK: What is written

    private func insertion(
        of added: [(device: DeviceID, message: Message)]
    ) -> [PostgresStatement] {
        guard !added.isEmpty else { return [] }
        func column(_ value: (Message) -> Int64?) -> PostgresValue {
            .integers(added.map { value($0.message) })
        }
        return [
            PostgresStatement(
                """
                SELECT pg_advisory_xact_lock_shared($1 + last_value - CASE WHEN is_called THEN 0 ELSE 1 END)
                FROM ouroboros.message_id_seq
                """, [.integer(RegistrySchema.Lock.spoolMarks)]),
            // It numbers them in their order.
            PostgresStatement(
                """
                INSERT INTO ouroboros.message (received_at, device, session, counter, box, seq, payload)
                SELECT $1, device, session, counter, box, seq, payload
                FROM unnest($2, $3, $4, $5, $6, $7) WITH ORDINALITY
                    AS new (device, session, counter, box, seq, payload, place)
                ORDER BY place
                """,
                [
                    .integer(now), .byteStrings(added.map { Data($0.device.bytes) }),
                    column { Int64($0.sessionID) }, column { Int64(clamping: $0.counter) },
                    column { $0.position.map { Int64($0.box) } },
                    column { $0.position.map { Int64($0.sequence) } },
                    .byteStrings(added.map { Data($0.message.payload) }),
                ]),
        ]
    }

    /// `taken` are the boxes in the order of their use: a repeat counts as use too.
    private static func changes(_ records: Records, _ taken: [Box]) -> [PostgresStatement] {
        var seen: Set<Box> = []
        let boxes = Array(taken.reversed().filter { seen.insert($0).inserted }.reversed())
        guard !boxes.isEmpty else { return [] }
        let held = boxes.map { (records[$0] ?? nil) ?? OnceRecord(first: 0) }
        return [
            PostgresStatement(
                """
                UPDATE ouroboros.once_record AS held SET highest = new.highest, below = new.below,
                    used = new.place + least(1::bigint << 62, (
                        SELECT max(used) FROM ouroboros.once_record AS own WHERE own.device = held.device))
                FROM unnest($1, $2, $3, $4) WITH ORDINALITY AS new (device, box, highest, below, place)
                WHERE held.device = new.device AND held.box = new.box
                """,
                columns(boxes) + [
                    .integers(held.map { Int64($0.highest) }),
                    .integers(held.map { Int64(bitPattern: $0.below) }),
                ]),
            // One that is in use elsewhere stays.
            PostgresStatement(
                """
                DELETE FROM ouroboros.once_record WHERE (device, box) IN (
                    SELECT device, box FROM ouroboros.once_record AS old
                    WHERE device = ANY($1) AND $2 <= (
                        SELECT count(*) FROM ouroboros.once_record AS newer
                        WHERE newer.device = old.device AND (newer.used, newer.box) > (old.used, old.box))
                    FOR UPDATE SKIP LOCKED)
                """,
                [
                    .byteStrings(Set(boxes.map(\.device)).map { Data($0.bytes) }),
                    .integer(Int64(OnceRecord.boxesPerDevice)),
                ]),
        ]
    }
}
