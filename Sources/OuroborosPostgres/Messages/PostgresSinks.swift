import LibC
import Ouroboros
import OuroborosStore

/// How far each sink of the gateways is. Whoever runs one holds an advisory lock of its session for it, which ends with
/// the connection.
extension PostgresMessages: SinkStore {
    public var isShared: Bool { true }

    public func identity() async throws -> String {
        try await store.database.run {
            try $0.query("SELECT name FROM ouroboros.identity").rows(of: "identity").first?.identity(0) ?? ""
        }
    }

    public func register(sinks: [String]) async throws -> [String: SinkState] {
        try await store.database.run { connection in
            var states: [String: SinkState] = [:]
            for name in sinks {
                states[name] = try Self.register(name, connection).state
            }
            return states
        }
    }

    private static func register(
        _ sink: String, _ connection: PostgresConnection
    ) throws -> (number: Int64, state: SinkState) {
        if let found = try find(sink, connection) { return found }
        try connection.query(
            "INSERT INTO ouroboros.sink (name) VALUES ($1) ON CONFLICT DO NOTHING", [.text(sink)])
        guard let made = try find(sink, connection) else { throw SinkState.changed(sink) }
        return made
    }

    private static func find(
        _ sink: String, _ connection: PostgresConnection
    ) throws -> (number: Int64, state: SinkState)? {
        try connection.query(
            "SELECT number::bigint, \(position), batch_end FROM ouroboros.sink WHERE name = $1", [.text(sink)]
        ).rows(of: "sink").first.map { row in
            (
                try row.integer(0),
                SinkState(position: try row.integer(1), batchEnd: try row.integer(2))
            )
        }
    }

    /// None is before the first message.
    fileprivate static let position = "greatest(position, 0)"

    public func position(of sink: String) async throws -> Int64 {
        try await number("SELECT \(Self.position) FROM ouroboros.sink WHERE name = $1", [.text(sink)], "sink")
    }

    public func passed(byAll sinks: [String]) async throws -> Int64 {
        try await number("SELECT min(\(Self.position)) FROM ouroboros.sink", [], "sink")
    }

    public func lastID() async throws -> Int64 {
        try await number(
            """
            SELECT max(id) FROM ouroboros.message WHERE id <= (SELECT last_value FROM ouroboros.message_id_seq)
            """, [], "message")
    }

    private func number(_ sql: String, _ values: [PostgresValue], _ table: String) async throws -> Int64 {
        try await store.database.run {
            try $0.query(sql, values).rows(of: table).first?.optionalInteger(0) ?? 0
        }
    }

    public func load(after first: Int64, through last: Int64) async throws -> SpoolLoad {
        try await store.database.run { connection in
            let row = try connection.query(
                """
                SELECT count(*), coalesce(sum(length(payload)), 0)::bigint FROM ouroboros.message
                WHERE id > $1 AND id <= $2
                """, [.integer(first), .integer(last)]
            ).rows(of: "message").first
            return SpoolLoad(messages: try row?.number(0) ?? 0, bytes: try row?.number(1) ?? 0)
        }
    }

    public func forget(sink: String) async throws -> Bool {
        try await store.database.run { connection in
            try connection.query("DELETE FROM ouroboros.sink WHERE name = $1", [.text(sink)]).changed > 0
        }
    }

    public func claim(_ sink: String) async throws -> (any SinkClaim)? {
        let start = Locked(SinkState())
        let connection = try await store.database.own { connection in
            let (number, _) = try Self.register(sink, connection)
            guard try Self.isLocked(number, connection) else { return false }
            // Read once it is held: until then another gateway moved it.
            let state = try Self.register(sink, connection).state
            start.withLock { $0 = state }
            return true
        }
        guard let connection else { return nil }
        return PostgresClaim(
            store.database, connection, sink: sink, start: start.withLock(\.self))
    }

    private static func isLocked(_ sink: Int64, _ connection: PostgresConnection) throws -> Bool {
        let locked = try connection.query(
            "SELECT CASE WHEN pg_try_advisory_lock(\(RegistrySchema.Lock.sinks), $1::integer) THEN 1::bigint END",
            [.integer(sink)]
        ).rows(of: "sink").first?.optionalInteger(0)
        return locked != nil
    }
}

/// What is moved is moved over the connection that holds the lock: without the lock nothing moves.
private final class PostgresClaim: SinkClaim {
    let start: SinkState
    private let database: PostgresDatabase
    private let connection: Locked<PostgresConnection>
    private let sink: String

    init(
        _ database: PostgresDatabase, _ connection: PostgresConnection, sink: String, start: SinkState
    ) {
        self.database = database
        self.connection = Locked(connection)
        self.sink = sink
        self.start = start
    }

    func check() async throws {
        try await database.onThread { [self] in
            _ = try connection.withLock { try $0.query("SELECT 1") }
        }
    }

    func beginBatch(through id: Int64) async throws {
        try await change("UPDATE ouroboros.sink SET batch_end = $2 WHERE name = $1", [.integer(id)])
    }

    func passed(from position: Int64, through id: Int64, refused: [Int64: String]) async throws {
        let sql =
            "UPDATE ouroboros.sink SET position = $2 WHERE name = $1 AND \(PostgresMessages.position) = $3"
        let values = [PostgresValue.integer(id), .integer(position)]
        guard !refused.isEmpty else { return try await change(sql, values) }
        try await database.onThread { [self] in
            try connection.withLock { connection in
                try connection.transaction {
                    try change(sql, values, connection)
                    try PostgresMessages.setAside(refused, refusedBy: sink, connection)
                }
            }
        }
    }

    func retried(_ id: Int64, refused reason: String?) async throws {
        try await database.onThread { [self] in
            try connection.withLock {
                try PostgresMessages.retried(id, at: sink, refused: reason, $0)
            }
        }
    }

    private func change(_ sql: String, _ values: [PostgresValue]) async throws {
        try await database.onThread { [self] in
            try connection.withLock { try change(sql, values, $0) }
        }
    }

    private func change(_ sql: String, _ values: [PostgresValue], _ connection: PostgresConnection) throws {
        guard try connection.query(sql, [.text(sink)] + values).changed == 1 else {
            throw SinkState.changed(sink)
        }
    }
}
