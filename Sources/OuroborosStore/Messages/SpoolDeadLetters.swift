import GRDB
import Ouroboros
import OuroborosText

extension Spool {
    public func deadLetters(after last: DeadLetter? = nil, limit: Int = 1000) throws -> [DeadLetter] {
        try letters("1", [], after: (last?.message.id ?? .min, last?.sink ?? ""), limit)
    }

    public func deadLetters(toRetryAt sink: String, limit: Int) throws -> [DeadLetter] {
        try letters("sink = ? AND is_waiting", [sink], after: (.min, ""), limit)
    }

    /// Goes on until there is one that can be read, or no more.
    private func letters(
        _ condition: String, _ arguments: StatementArguments, after last: (id: Int64, sink: String),
        _ limit: Int
    ) throws -> [DeadLetter] {
        var last = last
        while true {
            let rows = try reads.read { database in
                try Row.fetchAll(
                    database,
                    sql: """
                        SELECT * FROM dead_letter WHERE \(condition) AND (id, sink) > (?, ?) ORDER BY id, sink LIMIT ?
                        """, arguments: arguments + [last.id, last.sink, limit]
                ).map { $0.of("dead_letter") }
            }
            let letters = try unreadable.readable(rows) { row in
                DeadLetter(
                    sink: try row.text("sink"), message: try SpooledMessage(row),
                    refusedAt: try row.milliseconds("refused_at"), reason: try row.text("reason"),
                    retries: try row.integer("retries"))
            }
            guard letters.isEmpty, let end = rows.last else { return letters }
            last = (try end.integer("id"), try end.text("sink"))
        }
    }

    public func deadLetterCount(of sink: String) throws -> Int64 {
        try reads.read { database in
            try Int64.fetchOne(
                database, sql: "SELECT COUNT(*) FROM dead_letter WHERE sink = ?", arguments: [sink]) ?? 0
        }
    }

    public func retryDeadLetters(of sink: String?, id: Int64?) throws -> Int {
        try database.write { database in
            try database.execute(
                sql: """
                    UPDATE dead_letter SET is_waiting = 1, retries = retries + 1
                    WHERE NOT is_waiting AND ifnull(sink = ?, 1) AND ifnull(id = ?, 1)
                    """, arguments: [sink, id])
            return database.changesCount
        }
    }

    public func removeDeadLetters(through id: Int64) throws -> Int {
        try database.write { database in
            try database.execute(sql: "DELETE FROM dead_letter WHERE id <= ?", arguments: [id])
            return database.changesCount
        }
    }

    static func setAside(_ id: Int64, refusedBy sink: String, _ reason: String, _ database: Database) throws {
        try database.execute(
            sql: """
                INSERT OR REPLACE INTO dead_letter
                    (sink, refused_at, reason, id, received_at, device, session, counter, box, seq, payload)
                SELECT ?, ?, ?, id, received_at, device, session, counter, box, seq, payload
                FROM message WHERE id = ? AND length(device) = 8
                """, arguments: [sink, WallClock.milliseconds(), reason, id])
    }

    /// It was given to the sink again, which has taken it, or refused it anew.
    static func retried(_ id: Int64, at sink: String, refused reason: String?, _ database: Database) throws {
        guard let reason else {
            return try database.execute(
                sql: "DELETE FROM dead_letter WHERE sink = ? AND id = ?", arguments: [sink, id])
        }
        try database.execute(
            sql:
                "UPDATE dead_letter SET is_waiting = 0, refused_at = ?, reason = ? WHERE sink = ? AND id = ?",
            arguments: [WallClock.milliseconds(), reason, sink, id])
    }
}
