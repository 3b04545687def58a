import GRDB
import Ouroboros

/// How much of a spool there is.
public struct SpoolLoad: Sendable, Hashable {
    public var messages: Int
    /// Of the payloads.
    public var bytes: Int

    public init(messages: Int = 0, bytes: Int = 0) {
        self.messages = messages
        self.bytes = bytes
    }
}

/// How far each sink is in the spool.
extension Spool {
    public struct SinkState: Sendable, Hashable {
        /// The last message that the sink has passed; 0 before the first.
        public let position: Int64
        /// The last message of the batch that the sink was given last, passed or not.
        public let batchEnd: Int64
    }

    /// Where the sinks stand. One that is new begins with the oldest message that is there.
    public func register(sinks: [String]) throws -> [String: SinkState] {
        try database.write { database in
            var states: [String: SinkState] = [:]
            for name in sinks {
                try database.execute(sql: "INSERT OR IGNORE INTO sink (name) VALUES (?)", arguments: [name])
                states[name] = try Row.fetchOne(
                    database, sql: "SELECT position, batch_end FROM sink WHERE name = ?", arguments: [name]
                ).map { SinkState(position: $0["position"], batchEnd: $0["batch_end"]) }
            }
            return states
        }
    }

    /// The sink is about to be given all up to this message: after a crash it is given the same batch.
    public func beginBatch(of sink: String, through id: Int64) throws {
        try database.write { database in
            try database.execute(
                sql: "UPDATE sink SET batch_end = ? WHERE name = ?", arguments: [id, sink])
        }
    }

    /// The sink has all up to this message.
    public func passed(_ sink: String, through id: Int64) throws {
        try database.write { database in
            try database.execute(
                sql: "UPDATE sink SET position = ?1 WHERE name = ?2 AND position < ?1", arguments: [id, sink])
        }
    }

    /// How much lies after one message, up to another.
    public func load(after first: Int64, through last: Int64 = .max) throws -> SpoolLoad {
        try database.read { database in
            let row = try Row.fetchOne(
                database,
                sql: """
                    SELECT COUNT(*), ifnull(SUM(length(payload)), 0) FROM message WHERE id > ? AND id <= ?
                    """, arguments: [first, last])
            return SpoolLoad(messages: row?[0] ?? 0, bytes: row?[1] ?? 0)
        }
    }

    /// The newest message; 0 when there is none.
    public func lastID() throws -> Int64 {
        try database.read { try Int64.fetchOne($0, sql: "SELECT ifnull(max(id), 0) FROM message") ?? 0 }
    }

    /// A name of the file's own: 16 hexadecimal digits, chosen when it was made.
    public func identity() throws -> String {
        try database.read { try String.fetchOne($0, sql: "SELECT name FROM identity") ?? "" }
    }
}
