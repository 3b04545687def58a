import Foundation
import GRDB
import Ouroboros

/// Messages to devices, in an SQLite file, until their fate is known and for a while after.
public final class DownlinkQueue: DownlinkStore {
    let database: StoreDatabase
    package let unreadable = UnreadableRows()
    private let limits: DownlinkLimits

    public var isShared: Bool { false }

    /// Opens the file. What was under way when the program ended may have arrived: it is *unknown*.
    public init(path: String, limits: DownlinkLimits = .init(), now: Int64) throws {
        self.limits = limits
        database = try StoreDatabase(path: path, purpose: .downlink, isExclusive: false)
        try database.write { database in
            try database.execute(
                sql: """
                    UPDATE message SET state = 'unknown', ended_at = ?, payload = x'', reason = ?
                    WHERE state = 'sending'
                    """, arguments: [now, DownlinkEntry.gatewayEnded])
        }
    }

    public func add(
        _ payload: [UInt8], for device: DeviceID, expiresAt: Int64, now: Int64
    ) throws -> DownlinkEntry {
        try database.write { database in
            try limits.check(
                bytes: payload.count, of: device, own: Self.load(of: device, database),
                all: Self.load(database))
            try database.execute(
                sql: """
                    INSERT INTO message (device, queued_at, expires_at, state, payload)
                    VALUES (?, ?, ?, 'queued', ?)
                    """, arguments: [Data(device.bytes), now, expiresAt, Data(payload)])
            return DownlinkEntry(
                id: database.lastInsertedRowID, device: device, queuedAt: now, expiresAt: expiresAt,
                state: .queued, reason: nil, payload: payload)
        }
    }

    public func waitingDevices() throws -> Set<DeviceID> {
        try database.read { database in
            let rows = try Row.fetchAll(
                database,
                sql: "SELECT DISTINCT device FROM message WHERE ended_at IS NULL AND state = 'queued'")
            return Set(try unreadable.readable(rows) { try $0.of("message").device("device") })
        }
    }

    public func take(for device: DeviceID, limit: Int, now: Int64) throws -> [DownlinkEntry] {
        try database.write { database in
            let rows = try Row.fetchAll(
                database,
                sql: """
                    SELECT * FROM message
                    WHERE device = ? AND ended_at IS NULL AND state = 'queued' AND expires_at > ?
                    ORDER BY id LIMIT ?
                    """, arguments: [Data(device.bytes), now, limit])
            let entries = try unreadable.readable(rows, Self.entry)
            for entry in entries {
                try Self.set("sending", entry.id, database)
            }
            return entries
        }
    }

    public func giveBack(_ id: Int64) throws {
        try database.write { try Self.set("queued", id, $0) }
    }

    private static func set(_ state: String, _ id: Int64, _ database: Database) throws {
        try database.execute(
            sql: "UPDATE message SET state = ? WHERE id = ? AND ended_at IS NULL", arguments: [state, id])
    }

    public func finish(_ id: Int64, as state: DownlinkState, reason: String?, now: Int64) throws -> Bool {
        try database.write { database in
            try database.execute(
                sql: """
                    UPDATE message SET state = ?, reason = ?, ended_at = ?, payload = x''
                    WHERE id = ? AND ended_at IS NULL
                    """, arguments: [state.rawValue, reason, now, id])
            return database.changesCount == 1
        }
    }

    public func expire(now: Int64) throws -> [Int64: DownlinkState] {
        try database.write { database in
            let expired = try Int64.fetchAll(
                database,
                sql: """
                    UPDATE message SET state = 'failed', ended_at = ?1, payload = x'', reason = ?2
                    WHERE ended_at IS NULL AND state = 'queued' AND expires_at <= ?1 RETURNING id
                    """, arguments: [now, DownlinkEntry.neverThere])
            try database.execute(
                sql: "DELETE FROM message WHERE ended_at <= ?", arguments: [now - limits.memory])
            return Dictionary(expired.map { ($0, DownlinkState.failed) }) { $1 }
        }
    }

    public func firstExpiry() throws -> Int64? {
        try database.read { database in
            try Int64.fetchOne(
                database,
                sql: "SELECT MIN(expires_at) FROM message WHERE ended_at IS NULL AND state = 'queued'")
        }
    }

    public func entry(_ id: Int64) throws -> DownlinkEntry? {
        try database.read { database in
            try Row.fetchOne(database, sql: "SELECT * FROM message WHERE id = ?", arguments: [id])
                .map(Self.entry)
        }
    }

    public func pending(among ids: [Int64]) throws -> Set<Int64> {
        try database.read { database in
            let find = try database.cachedStatement(
                sql: "SELECT id FROM message WHERE id = ? AND ended_at IS NULL")
            return Set(try ids.compactMap { try Int64.fetchOne(find, arguments: [$0]) })
        }
    }

    public func load() throws -> SpoolLoad {
        try database.read { try Self.load($0) }
    }

    /// Of one device, or of all.
    private static func load(of device: DeviceID? = nil, _ database: Database) throws -> SpoolLoad {
        let row = try Row.fetchOne(
            database,
            sql: """
                SELECT COUNT(*) AS messages, ifnull(SUM(length(payload)), 0) AS bytes FROM message
                WHERE ended_at IS NULL AND (?1 IS NULL OR device = ?1)
                """, arguments: [device.map { Data($0.bytes) }])
        return try SpoolLoad(row?.of("message"))
    }

    /// One gateway uses a file: nothing happens elsewhere.
    public func notices() -> AsyncStream<DownlinkNotice> {
        AsyncStream { $0.finish() }
    }

    private static func entry(_ row: Row) throws -> DownlinkEntry {
        let row = row.of("message")
        return DownlinkEntry(
            id: try row.integer("id"), device: try row.device("device"),
            queuedAt: try row.milliseconds("queued_at"), expiresAt: try row.milliseconds("expires_at"),
            state: try row.state("state"), reason: try row.optionalText("reason"),
            payload: Array(try row.bytes("payload")))
    }
}
