import Foundation
import LibC
import Logging
import Ouroboros
import OuroborosStore

/// Devices in a PostgreSQL database that gateways share. Keys are always sealed there: the database, its backups and
/// the way to it see none.
public final class PostgresStore: Sendable {
    let database: PostgresDatabase
    let vault: Vault
    package let unreadable = UnreadableRows()

    /// Opens the database, and makes the tables if they are missing. Without the key-encryption key devices are listed
    /// and removed, no more.
    public convenience init(
        _ location: PostgresLocation, keyEncryptionKey: SecretKey?, logger: Logger? = nil
    ) throws {
        try self.init(PostgresDatabase(location, logger: logger), keyEncryptionKey: keyEncryptionKey)
    }

    init(_ database: PostgresDatabase, keyEncryptionKey: SecretKey?) throws {
        self.database = database
        let location = database.location
        vault = try database.runNow { connection in
            try RegistrySchema.bringUpToDate(connection, location.name)
            return try connection.transaction {
                try connection.query("SELECT pg_advisory_xact_lock(\(RegistrySchema.Lock.schema.rawValue))")
                let row = try connection.query("SELECT salt, proof FROM ouroboros.sealing")
                    .rows(of: "sealing").first
                let vault = try Vault.open(
                    label: "ouroboros registry", name: location.name, keyEncryptionKey: keyEncryptionKey,
                    found: try row.map { (try $0.bytes(0), try $0.bytes(1)) }, holdsKeys: { false },
                    put: { salt, proof in
                        try connection.query(
                            "INSERT INTO ouroboros.sealing VALUES (1, $1, $2)", [.bytes(salt), .bytes(proof)])
                    })
                // A new one that nobody has a key for yet.
                return vault.isSealed ? vault : .locked
            }
        }
        if let logger = database.logger {
            unreadable.tell { logger.error("the registry \(location.name): \($0)") }
        }
    }

    /// Whether the database was reached when it was last tried.
    public var isUp: Bool { database.isUp }
    /// Connections that could not be made.
    public var failures: UInt64 { database.failures }

    /// Throws when the database does not answer.
    public func check() async throws {
        _ = try await database.run { try $0.query("SELECT 1").changed }
    }

    static let deviceColumns = "kind, epoch, key_form, key"

    func credential(_ row: PostgresRow, device: DeviceID) throws -> Credential {
        let kind = try row.kind(0)
        let epoch: UInt64 = try row.number(1)
        let context = Vault.context("key", device: device, kind: kind, epoch: epoch)
        let key = try vault.open(
            try row.bytes(3), form: try row.text(2), context: context, path: database.location.name
        ) { try SecretKey($0) }
        return kind == .fixed
            ? .fixed(device: device, rootKey: key) : .evolving(device: device, epoch: epoch, key: key)
    }

    func closed(_ credential: Credential) throws -> (form: String, bytes: Data) {
        let context = Vault.context(
            "key", device: credential.deviceID, kind: credential.kind, epoch: credential.epoch)
        return try credential.key.withUnsafeBytes {
            try vault.close($0, context: context, path: database.location.name)
        }
    }

    static func epoch(_ number: UInt64, of device: DeviceID) throws -> Int64 {
        guard let epoch = Int64(exactly: number) else {
            throw OuroborosError(.storage, "the epoch of device \(device) is out of range")
        }
        return epoch
    }
}

extension DeviceID {
    var value: PostgresValue { .bytes(Data(bytes)) }
}

extension PostgresStore: DeviceStore, ReadsRows {
    public var isSealed: Bool { true }

    public func requireKeys() throws {
        if case .locked = vault { throw Vault.missingKey(database.location.name) }
    }

    public func add(_ devices: [StoredDevice]) throws {
        let ids = devices.map(\.credential.deviceID)
        let keys = try devices.map { try closed($0.credential) }
        let values: [PostgresValue] = [
            .byteStrings(ids.map { Data($0.bytes) }), .texts(devices.map(\.name)),
            .texts(devices.map(\.credential.kind.name)),
            .integers(try devices.map { try Self.epoch($0.credential.epoch, of: $0.credential.deviceID) }),
            .texts(keys.map(\.form)),
            .byteStrings(keys.map(\.bytes)), .integers(devices.map { $0.addedAt }),
            .texts(try devices.map { try DeviceTags.text($0.tags) }),
            .integers(devices.map { $0.isDisabled ? 1 : 0 }),
        ]
        try database.runNow { connection in
            try connection.transaction {
                let added = try connection.query(
                    """
                    INSERT INTO ouroboros.device
                        (id, name, kind, epoch, key_form, key, added_at, tags, disabled)
                    SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9) AS new (id) ORDER BY id
                    ON CONFLICT DO NOTHING RETURNING id
                    """, values)
                let new = Set(try added.rows(of: "device").map { try $0.device(0) })
                guard added.changed == ids.count else {
                    let known = ids.first { !new.contains($0) } ?? ids[0]
                    throw OuroborosError(
                        .storage, "device \(known) is in the registry already: remove it first")
                }
                // A gateway may know them by a fleet's key.
                try RegistryMessage.send(ids.map(RegistryMessage.changed), on: connection)
            }
        }
    }

    public func change(_ device: DeviceID, _ change: DeviceChange) throws -> Bool {
        try database.runNow { connection in
            try connection.transaction {
                let row = try connection.query(
                    "SELECT tags FROM ouroboros.device WHERE id = $1 FOR UPDATE", [device.value]
                ).rows(of: "device").first
                guard let row else { return false }
                let (column, value): (String, PostgresValue) =
                    switch change {
                    case .name(let name): ("name", .text(name))
                    case .isDisabled(let isDisabled): ("disabled", .integer(isDisabled ? 1 : 0))
                    case .tags: ("tags", .text(try change.changed(tags: try row.text(0))))
                    }
                try connection.query(
                    "UPDATE ouroboros.device SET \(column) = $2 WHERE id = $1", [device.value, value])
                try RegistryMessage.changed(device).send(on: connection)
                return true
            }
        }
    }

    public func rotate(_ device: DeviceID, to rootKey: RootKey) throws {
        try database.runNow { connection in
            try connection.transaction {
                let row = try connection.query(
                    "SELECT kind FROM ouroboros.device WHERE id = $1 FOR UPDATE", [device.value]
                ).rows(of: "device").first
                guard let row else {
                    throw OuroborosError(.storage, "there is no device \(device) in the registry")
                }
                let credential: Credential =
                    try row.kind(0) == .fixed
                    ? .fixed(device: device, rootKey: rootKey) : .evolving(device: device, key: rootKey)
                let key = try closed(credential)
                try connection.query(
                    "UPDATE ouroboros.device SET epoch = 0, key_form = $2, key = $3, move = NULL WHERE id = $1",
                    [device.value, .text(key.form), .bytes(key.bytes)])
                try RegistryMessage.changed(device).send(on: connection)
            }
        }
    }

    public func remove(_ device: DeviceID) throws -> Bool {
        try database.runNow { connection in
            try connection.transaction {
                let removed = try connection.query(
                    "DELETE FROM ouroboros.device WHERE id = $1", [device.value])
                try RegistryMessage.changed(device).send(on: connection)
                return removed.changed > 0
            }
        }
    }

    private static let records = """
        SELECT id, name, kind, epoch, added_at, last_seen, sessions, messages, bytes, session_at, address, tags, disabled
        FROM ouroboros.device
        """

    public func list() throws -> [DeviceRecord] {
        try database.runNow {
            let rows = try $0.query(Self.records + " ORDER BY id").rows(of: "device")
            return try unreadable.readable(rows, Self.record)
        }
    }

    public func record(of device: DeviceID) throws -> DeviceRecord? {
        try database.runNow {
            try $0.query(Self.records + " WHERE id = $1", [device.value]).rows(of: "device").first
                .map(Self.record)
        }
    }

    private static func record(_ row: PostgresRow) throws -> DeviceRecord {
        DeviceRecord(
            id: try row.device(0), name: try row.text(1), kind: try row.kind(2), epoch: try row.number(3),
            addedAt: try row.seconds(4), lastSeen: try row.optionalSeconds(5), sessions: try row.integer(6),
            messages: try row.integer(7), bytes: try row.integer(8), sessionAt: try row.optionalSeconds(9),
            address: try row.optionalText(10), tags: DeviceTags.list(try row.text(11)),
            isDisabled: try row.integer(12) != 0)
    }

    public func devices(_ wanted: [DeviceID]?) throws -> [StoredDevice] {
        try requireKeys()
        let devices = try database.runNow { connection in
            let rows = try connection.query(
                "SELECT \(Self.deviceColumns), id, name, added_at, tags, disabled FROM ouroboros.device ORDER BY id"
            ).rows(of: "device")
            return try unreadable.readable(rows) { row in
                let id = try row.device(4)
                guard let credential = try? credential(row, device: id) else {
                    throw row.wrong(3, "does not open, that of device \(id)")
                }
                return StoredDevice(
                    credential: credential, name: try row.text(5), addedAt: try row.integer(6),
                    tags: DeviceTags.list(try row.text(7)), isDisabled: try row.integer(8) != 0)
            }
        }
        return try GatewayStore.chosen(wanted, of: devices)
    }
}

extension PostgresStore: DeviceDirectory {
    public func records(of devices: Set<DeviceID>?) async throws -> [DeviceRecord] {
        let unreadable = unreadable
        return try await database.run { connection in
            let answer =
                if let devices {
                    try connection.query(
                        Self.records + " WHERE id = ANY($1)", [.byteStrings(devices.map { Data($0.bytes) })])
                } else {
                    try connection.query(Self.records + " ORDER BY id")
                }
            return try unreadable.readable(answer.rows(of: "device"), Self.record)
        }
    }
}

extension PostgresStore: ActivityStore {
    public func count(_ activities: [DeviceID: DeviceActivity], at time: Int64) async throws {
        guard !activities.isEmpty else { return }
        let all = Array(activities)
        func sum(_ column: String) -> String {
            "\(column) = least(device.\(column), 1::bigint << 62) + new.\(column)"
        }
        let sql = """
            WITH new AS (
                SELECT * FROM unnest($2, $3, $4, $5, $6, $7)
                    AS counted (id, sessions, messages, bytes, session_at, address)
            ), held AS MATERIALIZED (
                SELECT id FROM ouroboros.device JOIN new USING (id) ORDER BY id FOR NO KEY UPDATE OF device
            )
            UPDATE ouroboros.device SET last_seen = greatest(last_seen, $1),
                session_at = coalesce(new.session_at, device.session_at),
                address = coalesce(nullif(new.address, ''), device.address),
                \(["sessions", "messages", "bytes"].map(sum).joined(separator: ", "))
            FROM held JOIN new USING (id) WHERE device.id = held.id
            """
        try await database.run { connection in
            // In one order, so that two gateways do not wait for each other.
            _ = try connection.query(
                sql,
                [
                    .integer(time), .byteStrings(all.map { Data($0.key.bytes) }),
                    .integers(all.map { $0.value.sessions }), .integers(all.map { $0.value.messages }),
                    .integers(all.map { $0.value.bytes }), .integers(all.map { $0.value.sessionAt }),
                    .texts(all.map { $0.value.address ?? "" }),
                ])
        }
    }
}
