import GRDB
import Ouroboros

/// How far each sink is in the spool.
extension Spool: SinkStore {
    public var isShared: Bool { false }

    public func register(sinks: [String]) throws -> [String: SinkState] {
        try database.write { database in
            var states: [String: SinkState] = [:]
            for name in sinks {
                try database.execute(sql: "INSERT OR IGNORE INTO sink (name) VALUES (?)", arguments: [name])
                states[name] = try Self.state(of: name, database)
            }
            return states
        }
    }

    private static func state(of sink: String, _ database: Database) throws -> SinkState? {
        let row = try Row.fetchOne(
            database, sql: "SELECT \(position) AS position, batch_end FROM sink WHERE name = ?",
            arguments: [sink])
        return try row?.of("sink").state()
    }

    /// None is before the first message.
    fileprivate static let position = "max(position, 0)"

    public func position(of sink: String) throws -> Int64 {
        try reads.read { database in
            try Int64.fetchOne(
                database, sql: "SELECT \(Self.position) FROM sink WHERE name = ?", arguments: [sink]) ?? 0
        }
    }

    public func passed(byAll sinks: [String]) throws -> Int64 {
        try sinks.map(position(of:)).min() ?? 0
    }

    public func claim(_ sink: String) throws -> (any SinkClaim)? {
        try ownClaim(sink)
    }

    /// Nothing is written for a sink that is known.
    func ownClaim(_ sink: String) throws -> SpoolClaim {
        let known = try reads.read { try Self.state(of: sink, $0) }
        let start = try known ?? register(sinks: [sink])[sink] ?? SinkState()
        return SpoolClaim(spool: self, sink: sink, start: start)
    }

    public func forget(sink: String) throws -> Bool {
        try database.write { database in
            try database.execute(sql: "DELETE FROM sink WHERE name = ?", arguments: [sink])
            return database.changesCount > 0
        }
    }

    public func load(after first: Int64, through last: Int64 = .max) throws -> SpoolLoad {
        try reads.read { database in
            let row = try Row.fetchOne(
                database,
                sql: """
                    SELECT COUNT(*) AS messages, ifnull(SUM(length(payload)), 0) AS bytes FROM message
                    WHERE id > ? AND id <= ?
                    """, arguments: [first, last])
            return try SpoolLoad(row?.of("message"))
        }
    }

    public func lastID() throws -> Int64 {
        try reads.read { try Int64.fetchOne($0, sql: "SELECT ifnull(max(id), 0) FROM message") ?? 0 }
    }

    public func identity() throws -> String {
        try reads.read { database in
            let row = try Row.fetchOne(database, sql: "SELECT name FROM identity")
            return try row?.of("identity").identity("name") ?? ""
        }
    }
}

extension FileRow {
    fileprivate func state() throws -> SinkState {
        SinkState(position: try integer("position"), batchEnd: try integer("batch_end"))
    }
}

extension SpoolLoad {
    /// From `messages, bytes`.
    init(_ row: FileRow?) throws {
        self.init(messages: try row?.number("messages") ?? 0, bytes: try row?.number("bytes") ?? 0)
    }
}

/// One gateway uses a file, so that nobody takes a sink from it.
struct SpoolClaim: SinkClaim {
    fileprivate let spool: Spool
    fileprivate let sink: String
    let start: SinkState

    func check() {}

    func beginBatch(through id: Int64) throws {
        try change("UPDATE sink SET batch_end = ? WHERE name = ?", [id, sink])
    }

    func passed(from position: Int64, through id: Int64, refused: [Int64: String]) throws {
        try change(
            "UPDATE sink SET position = ? WHERE name = ? AND \(Spool.position) = ?", [id, sink, position]
        ) {
            for (id, reason) in refused {
                try Spool.setAside(id, refusedBy: sink, reason, $0)
            }
        }
    }

    func retried(_ id: Int64, refused reason: String?) throws {
        try spool.database.write { try Spool.retried(id, at: sink, refused: reason, $0) }
    }

    private func change(
        _ sql: String, _ arguments: StatementArguments, and more: (Database) throws -> Void = { _ in }
    ) throws {
        try spool.database.write { database in
            try database.execute(sql: sql, arguments: arguments)
            guard database.changesCount == 1 else { throw SinkState.changed(sink) }
            try more(database)
        }
    }
}
