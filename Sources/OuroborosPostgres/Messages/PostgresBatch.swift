import Foundation
import LibC
import Ouroboros
import OuroborosStore

/// Messages on their way into the spool, however many, in one transaction: one way to the database and back where their
/// boxes are known here, two where they are not. Its token is in the database once it is stored, so that it is stored
/// once where answers are lost.
final class PostgresBatch: Sendable {
    struct Attempt {
        let isNew: [Bool]
        /// Of its boxes, once it is stored.
        let records: [PostgresBox: OnceRecord]
        /// What is left of it, but for the commit.
        let statements: [PostgresStatement]
    }

    /// What is known of a box; nil for one that is new.
    private typealias Records = [PostgresBox: OnceRecord?]

    private let messages: [(device: DeviceID, message: Message)]
    private let now: Int64
    private let boxes: [PostgresBox]
    private let known: KnownBoxes
    private let unreadable: UnreadableRows
    private let token = PostgresValue.integer(.random(in: .min ... .max))
    /// Of the last try whose commit was sent.
    private let sent = Locked<[Bool]?>(nil)

    init(
        _ messages: [(device: DeviceID, message: Message)], now: Int64, _ known: KnownBoxes,
        _ unreadable: UnreadableRows
    ) {
        self.messages = messages
        self.now = now
        self.known = known
        self.unreadable = unreadable
        boxes = Array(
            Set(
                messages.lazy.compactMap { device, message in
                    message.position.map { PostgresBox(device: device, number: $0.box) }
                }))
    }

    /// Which of them are new.
    func store(over connection: PostgresConnection) throws -> [Bool] {
        do {
            if let records = known.records(of: boxes) {
                let attempt = attempt(from: records, isHeld: false)
                do {
                    return try commit(attempt, after: beginning, over: connection)
                } catch PostgresFailure.contradicted(PostgresFailure.divisionByZero) {
                    // Another gateway has had messages of these boxes.
                    connection.rollBack()
                    known.forget(boxes)
                }
            }
            return try commit(try begin(over: connection), after: [], over: connection)
        } catch PostgresFailure.contradicted(RegistrySchema.tokenIsThere) {
            connection.rollBack()
            guard let isNew = sent.withLock(\.self) else {
                throw PostgresFailure.unavailable("another batch has the token of this one")
            }
            return isNew
        } catch {
            connection.rollBack()
            throw error
        }
    }

    private func commit(
        _ attempt: Attempt, after first: [PostgresStatement], over connection: PostgresConnection
    ) throws -> [Bool] {
        sent.withLock { $0 = attempt.isNew }
        try connection.run(first + attempt.statements + [PostgresStatement("COMMIT")])
        known.note(attempt.records)
        return attempt.isNew
    }

    /// Who has sent a commit and does not know what became of it waits here for that, or is refused.
    private var beginning: [PostgresStatement] {
        [
            PostgresStatement("BEGIN"),
            PostgresStatement("INSERT INTO ouroboros.stored_batch (token) VALUES ($1)", [token]),
        ]
    }

    /// Holds the records of the batch's boxes.
    func begin(over connection: PostgresConnection) throws -> Attempt {
        guard !boxes.isEmpty else {
            try connection.run(beginning)
            return attempt(from: [:], isHeld: true)
        }
        let values = Self.columns(boxes)
        let answers = try connection.run(
            beginning + [
                // Two gateways hold them in one order, and so never wait for each other.
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
            ])
        return attempt(from: try records(answers[3].rows(of: "once_record")), isHeld: true)
    }

    /// What cannot be read is begun anew: a message may come twice then, and none is lost.
    private func records(_ rows: [PostgresRow]) throws -> Records {
        var records: Records = [:]
        _ = try unreadable.readable(rows) { row in
            let box = PostgresBox(device: try row.device(0), number: try row.number(1))
            guard try row.integer(2) != Self.nothingCame else { return }
            records[box] = OnceRecord(
                highest: try row.number(2), below: UInt64(bitPattern: try row.integer(3)))
        }
        return records
    }

    /// Of a record that this transaction made.
    private static let nothingCame: Int64 = -1

    // MARK: What is written

    private func attempt(from known: Records, isHeld: Bool) -> Attempt {
        var records = known
        var added: [(device: DeviceID, message: Message)] = []
        var taken: [PostgresBox] = []
        let isNew = PostgresMessages.store(
            messages,
            take: { position, device in
                let box = PostgresBox(device: device, number: position.box)
                taken.append(box)
                return Self.take(position.sequence, &records[box, default: nil])
            }, insert: { added.append(($1, $0)) })
        // In the order of their use: a repeat counts as use too.
        var seen: Set<PostgresBox> = []
        let used = Array(taken.reversed().filter { seen.insert($0).inserted }.reversed())
        let changes =
            used.isEmpty
            ? [] : isHeld ? Self.changes(used, records) : Self.changes(used, records, from: known)
        return Attempt(
            isNew: isNew, records: records.compactMapValues(\.self),
            statements: changes + insertion(of: added))
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

    private static func columns(_ boxes: [PostgresBox]) -> [PostgresValue] {
        [.byteStrings(boxes.map { Data($0.device.bytes) }), .integers(boxes.map { Int64($0.number) })]
    }

    private static func columns(_ boxes: [PostgresBox], _ records: Records) -> [PostgresValue] {
        let held = boxes.map { (records[$0] ?? nil) ?? OnceRecord(first: 0) }
        return [
            .integers(held.map { Int64($0.highest) }), .integers(held.map { Int64(bitPattern: $0.below) }),
        ]
    }

    private static let update = """
        UPDATE ouroboros.once_record AS held SET highest = new.highest, below = new.below,
            used = new.place + least(1::bigint << 62, (
                SELECT max(used) FROM ouroboros.once_record AS own WHERE own.device = held.device))
        """

    /// Of records that others may have changed: then it fails, as nothing can be divided by 0.
    private static func changes(
        _ boxes: [PostgresBox], _ records: Records, from old: Records
    ) -> [PostgresStatement] {
        [
            PostgresStatement(
                """
                WITH changed AS (
                    \(update) FROM unnest($1, $2, $3, $4, $5, $6) WITH ORDINALITY
                        AS new (device, box, highest, below, old_highest, old_below, place)
                    WHERE held.device = new.device AND held.box = new.box
                        AND held.highest = new.old_highest AND held.below = new.old_below RETURNING 1
                )
                SELECT 1 / (count(*) = $7)::integer FROM changed
                """,
                columns(boxes) + columns(boxes, records) + columns(boxes, old) + [
                    .integer(Int64(boxes.count))
                ])
        ]
    }

    private static func changes(_ boxes: [PostgresBox], _ records: Records) -> [PostgresStatement] {
        [
            PostgresStatement(
                """
                \(update) FROM unnest($1, $2, $3, $4) WITH ORDINALITY AS new (device, box, highest, below, place)
                WHERE held.device = new.device AND held.box = new.box
                """, columns(boxes) + columns(boxes, records)),
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
