import Foundation
import GRDB
import Ouroboros

/// A device as a gateway's store lists it, without its key.
public struct DeviceRecord: Sendable, Hashable {
    public let id: DeviceID
    public let name: String
    public let kind: Credential.Kind
    public let epoch: UInt64
    /// Seconds since 1970.
    public let addedAt: Int64
    /// Seconds since 1970; nil before its first message or session.
    public let lastSeen: Int64?
    public let sessions: Int64
    public let messages: Int64
    public let bytes: Int64
    /// When its last session began, in seconds since 1970, and the address that it came from.
    public let sessionAt: Int64?
    public let address: String?
    public let tags: [String]
    /// A gateway refuses it as if it were not there.
    public let isDisabled: Bool

    package init(
        id: DeviceID, name: String, kind: Credential.Kind, epoch: UInt64, addedAt: Int64, lastSeen: Int64?,
        sessions: Int64, messages: Int64, bytes: Int64, sessionAt: Int64? = nil, address: String? = nil,
        tags: [String] = [], isDisabled: Bool = false
    ) {
        self.id = id
        self.name = name
        self.kind = kind
        self.epoch = epoch
        self.addedAt = addedAt
        self.lastSeen = lastSeen
        self.sessions = sessions
        self.messages = messages
        self.bytes = bytes
        self.sessionAt = sessionAt
        self.address = address
        self.tags = tags
        self.isDisabled = isDisabled
    }
}

/// What a device did since it was last counted.
public struct DeviceActivity: Sendable, Hashable {
    public var sessions: Int64 = 0
    public var messages: Int64 = 0
    public var bytes: Int64 = 0
    /// When the last of the sessions began, in seconds since 1970, and the address that it came from.
    public var sessionAt: Int64?
    public var address: String?

    public init() {}
}

extension GatewayStore {
    public func list() throws -> [DeviceRecord] {
        try lists.read { database in
            try unreadable.readable(
                Row.fetchAll(database, sql: Self.records + " ORDER BY id"), Self.record)
        }
    }

    public func record(of device: DeviceID) throws -> DeviceRecord? {
        try lists.read { database in
            try Row.fetchOne(
                database, sql: Self.records + " WHERE id = ?", arguments: [Data(device.bytes)]
            ).map(Self.record)
        }
    }

    public func records(of devices: Set<DeviceID>?) throws -> [DeviceRecord] {
        guard let devices else { return try list() }
        return try lists.read { database in
            let find = try database.cachedStatement(sql: Self.records + " WHERE id = ?")
            let rows = try devices.compactMap { device in
                try Row.fetchOne(find, arguments: [Data(device.bytes)])
            }
            return try unreadable.readable(rows, Self.record)
        }
    }

    private static let records = """
        SELECT id, name, kind, epoch, added_at, last_seen, sessions, messages, bytes, session_at, address, tags, disabled
        FROM device
        """

    private static func record(_ row: Row) throws -> DeviceRecord {
        let row = row.of("device")
        return DeviceRecord(
            id: try row.device("id"), name: try row.text("name"), kind: try row.kind("kind"),
            epoch: try row.number("epoch"), addedAt: try row.seconds("added_at"),
            lastSeen: try row.optionalSeconds("last_seen"), sessions: try row.integer("sessions"),
            messages: try row.integer("messages"), bytes: try row.integer("bytes"),
            sessionAt: try row.optionalSeconds("session_at"), address: try row.optionalText("address"),
            tags: DeviceTags.list(try row.text("tags")), isDisabled: try row.integer("disabled") != 0)
    }

    /// Adds to what is counted of the devices, which were all seen at `time`, seconds since 1970.
    public func count(_ activities: [DeviceID: DeviceActivity], at time: Int64) throws {
        guard !activities.isEmpty else { return }
        try database.write { database in
            for (device, activity) in activities {
                let statement = try database.cachedStatement(
                    sql: """
                        UPDATE device SET last_seen = max(ifnull(last_seen, 0), ?),
                            sessions = min(sessions, 1 << 62) + ?, messages = min(messages, 1 << 62) + ?,
                            bytes = min(bytes, 1 << 62) + ?, session_at = ifnull(?, session_at),
                            address = ifnull(?, address) WHERE id = ?
                        """)
                try statement.execute(arguments: [
                    time, activity.sessions, activity.messages, activity.bytes, activity.sessionAt,
                    activity.address, Data(device.bytes),
                ])
            }
        }
    }
}
