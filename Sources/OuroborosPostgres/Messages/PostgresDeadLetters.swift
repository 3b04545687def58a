import Ouroboros
import OuroborosStore

extension PostgresMessages {
    public func deadLetters(after last: DeadLetter?, limit: Int) async throws -> [DeadLetter] {
        try await letters("true", [], after: (last?.message.id ?? .min, last?.sink ?? ""), limit)
    }

    public func deadLetters(toRetryAt sink: String, limit: Int) async throws -> [DeadLetter] {
        try await letters("sink = $4 AND is_waiting", [.text(sink)], after: (.min, ""), limit)
    }

    /// Goes on until there is one that can be read, or no more.
    private func letters(
        _ condition: String, _ values: [PostgresValue], after last: (id: Int64, sink: String), _ limit: Int
    ) async throws -> [DeadLetter] {
        try await store.database.run { connection in
            var last = last
            while true {
                let rows = try connection.query(
                    """
                    SELECT \(Self.columns), sink, refused_at, reason, retries FROM ouroboros.dead_letter
                    WHERE (id, sink) > ($1, $2) AND \(condition) ORDER BY id, sink LIMIT $3
                    """, [.integer(last.id), .text(last.sink), .integer(Int64(limit))] + values
                ).rows(of: "dead_letter")
                let letters = try unreadable.readable(rows) { row in
                    DeadLetter(
                        sink: try row.text(8), message: try Self.message(row),
                        refusedAt: try row.milliseconds(9),
                        reason: try row.text(10), retries: try row.integer(11))
                }
                guard letters.isEmpty, let end = rows.last else { return letters }
                last = (try end.integer(0), try end.text(8))
            }
        }
    }

    public func deadLetterCount(of sink: String) async throws -> Int64 {
        try await store.database.run { connection in
            try connection.query("SELECT count(*) FROM ouroboros.dead_letter WHERE sink = $1", [.text(sink)])
                .rows(of: "dead_letter").first?.integer(0) ?? 0
        }
    }

    public func retryDeadLetters(of sink: String?, id: Int64?) async throws -> Int {
        try await store.database.run { connection in
            try connection.query(
                """
                UPDATE ouroboros.dead_letter SET is_waiting = true, retries = retries + 1
                WHERE NOT is_waiting AND ($1::text IS NULL OR sink = $1) AND ($2::bigint IS NULL OR id = $2)
                """, [sink.map { .text($0) } ?? .null, id.map { .integer($0) } ?? .null]
            ).changed
        }
    }

    public func removeDeadLetters(through id: Int64) async throws -> Int {
        try await store.database.run { connection in
            try connection.query("DELETE FROM ouroboros.dead_letter WHERE id <= $1", [.integer(id)]).changed
        }
    }

    private static let now = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"

    static func setAside(
        _ refused: [Int64: String], refusedBy sink: String, _ connection: PostgresConnection
    ) throws {
        try connection.query(
            """
            INSERT INTO ouroboros.dead_letter (sink, refused_at, reason, \(columns))
            SELECT $1, \(now), refused.why, \(columns)
            FROM ouroboros.message JOIN unnest($2, $3) AS refused (id, why) USING (id)
            WHERE length(device) = 8 ON CONFLICT DO NOTHING
            """, [.text(sink), .integers(refused.map { $0.key }), .texts(refused.map { $0.value })])
    }

    /// It was given to the sink again, which has taken it, or refused it anew.
    static func retried(
        _ id: Int64, at sink: String, refused reason: String?, _ connection: PostgresConnection
    ) throws {
        guard let reason else {
            try connection.query(
                "DELETE FROM ouroboros.dead_letter WHERE sink = $1 AND id = $2", [.text(sink), .integer(id)])
            return
        }
        try connection.query(
            """
            UPDATE ouroboros.dead_letter SET is_waiting = false, refused_at = \(now), reason = $3
            WHERE sink = $1 AND id = $2
            """, [.text(sink), .integer(id), .text(reason)])
    }
}
