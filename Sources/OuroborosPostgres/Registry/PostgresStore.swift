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

    /// Opens the database, and makes the tables if they are missing. Without the key-encryption key devices are listed
    /// and removed, no more.
    public init(_ location: PostgresLocation, keyEncryptionKey: SecretKey?, logger: Logger? = nil) throws {
        let database = PostgresDatabase(location, logger: logger)
        self.database = database
        vault = try database.runNow { connection in
            try RegistrySchema.bringUpToDate(connection, location.name)
            return try connection.transaction {
                try connection.query("SELECT pg_advisory_xact_lock(\(RegistrySchema.Lock.schema.rawValue))")
                let row = try connection.query("SELECT salt, proof FROM ouroboros.sealing").rows.first
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
        let kind: Credential.Kind = try row.text(0) == "fixed" ? .fixed : .evolving
        let epoch = UInt64(try row.integer(1))
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

    static func epoch(_ number: UInt64, of device: DeviceID) throws -> PostgresValue {
        guard let epoch = Int64(exactly: number) else {
            throw OuroborosError(.storage, "the epoch of device \(device) is out of range")
        }
        return .integer(epoch)
    }
}

extension DeviceID {
    var value: PostgresValue { .bytes(Data(bytes)) }
}

extension PostgresStore: DeviceStore {
    public var isSealed: Bool { true }

    public func requireKeys() throws {
        if case .locked = vault { throw Vault.missingKey(database.location.name) }
    }

    public func add(_ devices: [StoredDevice]) throws {
        let rows = try devices.map { device in
            let credential = device.credential
            let key = try closed(credential)
            return (
                credential.deviceID,
                [
                    credential.deviceID.value, .text(device.name), .text(credential.kind.name),
                    try Self.epoch(credential.epoch, of: credential.deviceID), .text(key.form),
                    .bytes(key.bytes), .integer(device.addedAt), .text(try DeviceTags.text(device.tags)),
                    .integer(device.isDisabled ? 1 : 0),
                ] as [PostgresValue]
            )
        }
        try database.runNow { connection in
            try connection.transaction {
                for (id, values) in rows {
                    let changed = try connection.query(
                        """
                        INSERT INTO ouroboros.device
                            (id, name, kind, epoch, key_form, key, added_at, tags, disabled)
                        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING
                        """, values
                    ).changed
                    guard changed == 1 else {
                        throw OuroborosError(
                            .storage, "device \(id) is in the registry already: remove it first")
                    }
                }
                // A gateway may know them by a fleet's key.
                try RegistryMessage.send(rows.map { .changed($0.0) }, on: connection)
            }
        }
    }

    public func change(_ device: DeviceID, _ change: DeviceChange) throws -> Bool {
        try database.runNow { connection in
            try connection.transaction {
                let row = try connection.query(
                    "SELECT tags FROM ouroboros.device WHERE id = $1 FOR UPDATE", [device.value]
                ).rows.first
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
                ).rows.first
                guard let row else {
                    throw OuroborosError(.storage, "there is no device \(device) in the registry")
                }
                let credential: Credential =
                    try row.text(0) == "fixed"
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
        try database.runNow { try $0.query(Self.records + " ORDER BY id").rows.map(Self.record) }
    }

    public func record(of device: DeviceID) throws -> DeviceRecord? {
        try database.runNow {
            try $0.query(Self.records + " WHERE id = $1", [device.value]).rows.first.map(Self.record)
        }
    }

    private static func record(_ row: PostgresRow) throws -> DeviceRecord {
        DeviceRecord(
            id: try DeviceID(try row.bytes(0)), name: try row.text(1),
            kind: try row.text(2) == "fixed" ? .fixed : .evolving, epoch: UInt64(try row.integer(3)),
            addedAt: try row.integer(4), lastSeen: try row.optionalInteger(5), sessions: try row.integer(6),
            messages: try row.integer(7), bytes: try row.integer(8), sessionAt: try row.optionalInteger(9),
            address: try row.optionalText(10), tags: DeviceTags.list(try row.text(11)),
            isDisabled: try row.integer(12) != 0)
    }

    public func devices(_ wanted: [DeviceID]?) throws -> [StoredDevice] {
        let devices = try database.runNow { connection in
            try connection.query(
                "SELECT \(Self.deviceColumns), id, name, added_at, tags, disabled FROM ouroboros.device ORDER BY id"
            ).rows.map { row in
                StoredDevice(
                    credential: try credential(row, device: try DeviceID(try row.bytes(4))),
                    name: try row.text(5), addedAt: try row.integer(6),
                    tags: DeviceTags.list(try row.text(7)), isDisabled: try row.integer(8) != 0)
            }
        }
        return try GatewayStore.chosen(wanted, of: devices)
    }
}

extension PostgresStore: DeviceDirectory {
    public func records(of devices: Set<DeviceID>?) async throws -> [DeviceRecord] {
        try await database.run { connection in
            let rows =
                if let devices {
                    try connection.query(
                        Self.records + " WHERE id = ANY($1)", [.byteStrings(devices.map { Data($0.bytes) })]
                    ).rows
                } else {
                    try connection.query(Self.records + " ORDER BY id").rows
                }
            return try rows.map(Self.record)
        }
    }
}

extension PostgresStore: ActivityStore {
    public func count(_ activities: [DeviceID: DeviceActivity], at time: Int64) async throws {
        guard !activities.isEmpty else { return }
        try await database.run { connection in
            try connection.transaction {
                // In one order, so that two gateways do not wait for each other.
                for (device, activity) in activities.sorted(by: { $0.key.description < $1.key.description }) {
                    try connection.query(
                        """
                        UPDATE ouroboros.device SET last_seen = greatest(coalesce(last_seen, 0), $2),
                            sessions = sessions + $3, messages = messages + $4, bytes = bytes + $5,
                            session_at = coalesce($6, session_at), address = coalesce($7, address) WHERE id = $1
                        """,
                        [
                            device.value, .integer(time), .integer(activity.sessions),
                            .integer(activity.messages), .integer(activity.bytes),
                            activity.sessionAt.map { .integer($0) } ?? .null,
                            activity.address.map { .text($0) } ?? .null,
                        ])
                }
            }
        }
    }
}
