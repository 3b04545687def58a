import Foundation
import GRDB
import Ouroboros

/// Messages to devices, in an SQLite file, until their fate is known and for a while after.
public final class DownlinkQueue: Sendable {
    public struct Limits: Sendable, Hashable {
        /// Messages that wait, of all devices and of one, and their bytes.
        public var messages = 10_000
        public var bytes = 8 << 20
        public var messagesPerDevice = 100
        public var bytesPerDevice = 64 << 10
        /// How long a fate is remembered, in milliseconds.
        public var memory: Int64 = 86_400_000

        public init() {}
    }

    public enum State: String, Sendable, Hashable {
        /// It waits for the device.
        case queued
        /// It was handed to a session, and is not acknowledged.
        case sending
        case delivered
        /// It was never sent.
        case failed
        /// It was sent, and may have arrived.
        case unknown

        public var isFinal: Bool { self != .queued && self != .sending }
    }

    public struct Entry: Sendable, Hashable {
        public let id: Int64
        public let device: DeviceID
        /// Milliseconds since 1970.
        public let queuedAt: Int64
        public let expiresAt: Int64
        public let state: State
        /// Why it failed or is unknown.
        public let reason: String?
        /// Empty once its fate is known.
        public let payload: [UInt8]
    }

    private let database: StoreDatabase
    private let limits: Limits

    /// Opens the file. What was under way when the program ended may have arrived: it is *unknown*.
    public init(path: String, limits: Limits = .init(), now: Int64) throws {
        self.limits = limits
        database = try StoreDatabase(path: path, purpose: .downlink, isExclusive: false)
        try database.write { database in
            try database.execute(
                sql: """
                    UPDATE message SET state = 'unknown', ended_at = ?, payload = x'',
                        reason = 'the gateway ended before the message was acknowledged: it may have arrived'
                    WHERE state = 'sending'
                    """, arguments: [now])
        }
    }

    /// Durable when this returns. It throws *limit* when there is no room. Times are milliseconds since 1970.
    public func add(_ payload: [UInt8], for device: DeviceID, expiresAt: Int64, now: Int64) throws -> Int64 {
        try database.write { database in
            try checkRoom(for: payload.count, device, database)
            try database.execute(
                sql: """
                    INSERT INTO message (device, queued_at, expires_at, state, payload)
                    VALUES (?, ?, ?, 'queued', ?)
                    """, arguments: [Data(device.bytes), now, expiresAt, Data(payload)])
            return database.lastInsertedRowID
        }
    }

    private func checkRoom(for bytes: Int, _ device: DeviceID, _ database: Database) throws {
        let waiting = """
            SELECT COUNT(*), ifnull(SUM(length(payload)), 0) FROM message WHERE ended_at IS NULL
            """
        let all = try Row.fetchOne(database, sql: waiting)
        let own = try Row.fetchOne(
            database, sql: waiting + " AND device = ?", arguments: [Data(device.bytes)])
        func isFull(_ row: Row?, _ messages: Int, _ mostBytes: Int) -> Bool {
            (row?[0] ?? 0) >= messages || (row?[1] ?? 0) + bytes > mostBytes
        }
        if isFull(own, limits.messagesPerDevice, limits.bytesPerDevice) {
            throw OuroborosError(
                .limit,
                "too many messages wait for device \(device): at most \(limits.messagesPerDevice), "
                    + "of \(limits.bytesPerDevice) bytes")
        }
        if isFull(all, limits.messages, limits.bytes) {
            throw OuroborosError(
                .limit,
                "too many messages wait for devices: at most \(limits.messages), of \(limits.bytes) bytes")
        }
    }

    /// The devices for which something waits.
    public func waitingDevices() throws -> Set<DeviceID> {
        try database.read { database in
            let rows = try Data.fetchAll(
                database, sql: "SELECT DISTINCT device FROM message WHERE state = 'queued'")
            return Set(try rows.map { try DeviceID($0) })
        }
    }

    /// The oldest messages that wait for a device; they count as under way from now on.
    public func take(for device: DeviceID, limit: Int) throws -> [Entry] {
        try database.write { database in
            let entries = try Row.fetchAll(
                database,
                sql: "SELECT * FROM message WHERE device = ? AND state = 'queued' ORDER BY id LIMIT ?",
                arguments: [Data(device.bytes), limit]
            ).map(Self.entry)
            try set("sending", entries.map(\.id), database)
            return entries
        }
    }

    /// They were not sent: they wait again.
    public func giveBack(_ ids: [Int64]) throws {
        try database.write { try set("queued", ids, $0) }
    }

    private func set(_ state: String, _ ids: [Int64], _ database: Database) throws {
        for id in ids {
            try database.execute(
                sql: "UPDATE message SET state = ? WHERE id = ? AND ended_at IS NULL", arguments: [state, id])
        }
    }

    /// Its fate is known.
    public func finish(_ id: Int64, as state: State, reason: String?, now: Int64) throws {
        try database.write { database in
            try database.execute(
                sql: """
                    UPDATE message SET state = ?, reason = ?, ended_at = ?, payload = x''
                    WHERE id = ? AND ended_at IS NULL
                    """, arguments: [state.rawValue, reason, now, id])
        }
    }

    /// Messages that waited too long have failed, and fates that were kept long enough are forgotten. Gives the
    /// ids of those that failed now.
    public func expire(now: Int64) throws -> [Int64] {
        try database.write { database in
            let expired = try Int64.fetchAll(
                database,
                sql: """
                    UPDATE message SET state = 'failed', ended_at = ?1, payload = x'',
                        reason = 'the device was not there within the message''s time to live'
                    WHERE state = 'queued' AND expires_at <= ?1 RETURNING id
                    """, arguments: [now])
            try database.execute(
                sql: "DELETE FROM message WHERE ended_at <= ?", arguments: [now - limits.memory])
            return expired
        }
    }

    public func entry(_ id: Int64) throws -> Entry? {
        try database.read { database in
            try Row.fetchOne(database, sql: "SELECT * FROM message WHERE id = ?", arguments: [id])
                .map(Self.entry)
        }
    }

    /// How much waits or is under way.
    public func load() throws -> SpoolLoad {
        try database.read { database in
            let row = try Row.fetchOne(
                database,
                sql: """
                    SELECT COUNT(*), ifnull(SUM(length(payload)), 0) FROM message WHERE ended_at IS NULL
                    """)
            return SpoolLoad(messages: row?[0] ?? 0, bytes: row?[1] ?? 0)
        }
    }

    private static func entry(_ row: Row) throws -> Entry {
        guard let state = State(rawValue: row["state"]) else {
            throw OuroborosError(.storage, "message \(row["id"] as Int64) has a state that is none")
        }
        return Entry(
            id: row["id"], device: try DeviceID(row["device"] as Data), queuedAt: row["queued_at"],
            expiresAt: row["expires_at"], state: state, reason: row["reason"],
            payload: Array(row["payload"] as Data))
    }
}
