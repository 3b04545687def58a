import Foundation
import GRDB
import LibC
import Ouroboros

/// A gateway's devices in an SQLite file. Several processes may use it at once.
public final class GatewayStore: Sendable {
    let database: StoreDatabase
    /// A connection of its own: looking up the device of a HELLO, which anybody can send, waits for no write's fsync.
    private let lookups: StoreReader
    /// And one for lists, which take longer.
    let lists: StoreReader
    private let pastKeys = PastKeys()
    package let unreadable = UnreadableRows()

    /// Opens the file, or makes an empty one. With a key-encryption key the devices' keys are sealed; a file
    /// whose keys were stored without one is refused then. A sealed file without its key lists devices still.
    public init(path: String, keyEncryptionKey: SecretKey? = nil) throws {
        database = try StoreDatabase(
            path: path, purpose: .gateway, isExclusive: false, keyEncryptionKey: keyEncryptionKey)
        lookups = try StoreReader(database)
        lists = try StoreReader(database)
    }

    deinit {
        try? erasePastKeys()
        // The last one to close empties the write-ahead log, and one that only reads does not.
        try? lookups.queue.close()
        try? lists.queue.close()
        try? database.queue.close()
    }

    public var isSealed: Bool { database.vault.isSealed }

    /// Throws when the store is sealed and was opened without its key.
    public func requireKeys() throws {
        try database.requireKeys()
    }

    public func add(_ credential: Credential, name: String) throws {
        try add([StoredDevice(credential: credential, name: name, addedAt: Int64(time(nil)))])
    }

    /// All of them or, when one is there already, none.
    public func add(_ devices: [StoredDevice]) throws {
        let rows = try devices.map { device in
            (device, try StoreDatabase.epoch(of: device.credential), try database.closed(device.credential))
        }
        try database.write { database in
            let statement = try database.makeStatement(
                sql: """
                    INSERT INTO device (id, name, kind, epoch, key_form, key, added_at, tags, disabled)
                    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING
                    """)
            for (device, epoch, key) in rows {
                let credential = device.credential
                try statement.execute(arguments: [
                    Data(credential.deviceID.bytes), device.name, credential.kind.name, epoch, key.form,
                    key.bytes, device.addedAt, try DeviceTags.text(device.tags), device.isDisabled,
                ])
                guard database.changesCount > 0 else {
                    throw OuroborosError(
                        .storage, "device \(credential.deviceID) is in the store already: remove it first")
                }
            }
        }
        // A plain copy of the file holds them, though a gateway has it open.
        try? database.checkpoint()
    }

    public func change(_ device: DeviceID, _ change: DeviceChange) throws -> Bool {
        let id = Data(device.bytes)
        return try database.write { database in
            switch change {
            case .name(let name):
                try database.execute(sql: "UPDATE device SET name = ? WHERE id = ?", arguments: [name, id])
            case .isDisabled(let isDisabled):
                try database.execute(
                    sql: "UPDATE device SET disabled = ? WHERE id = ?", arguments: [isDisabled, id])
            case .tags:
                let tags = try String.fetchOne(
                    database, sql: "SELECT tags FROM device WHERE id = ?", arguments: [id])
                guard let tags else { return false }
                try database.execute(
                    sql: "UPDATE device SET tags = ? WHERE id = ?",
                    arguments: [try change.changed(tags: tags), id])
            }
            return database.changesCount > 0
        }
    }

    /// Gives a device a new root key, at epoch 0.
    public func rotate(_ device: DeviceID, to rootKey: RootKey) throws {
        let kind: String? = try database.read { database in
            try String.fetchOne(
                database, sql: "SELECT kind FROM device WHERE id = ?", arguments: [Data(device.bytes)])
        }
        let credential: Credential =
            kind == "fixed"
            ? .fixed(device: device, rootKey: rootKey) : .evolving(device: device, key: rootKey)
        let key = try database.closed(credential)
        let changed = try database.write { database in
            try database.execute(
                sql: "UPDATE device SET epoch = 0, key_form = ?, key = ? WHERE id = ? AND kind = ?",
                arguments: [key.form, key.bytes, Data(device.bytes), kind])
            return database.changesCount > 0
        }
        guard changed else { throw OuroborosError(.storage, "there is no device \(device) in the store") }
        pastKeys.note()
        try erasePastKeys()
    }

    /// False when there is no such device.
    public func remove(_ device: DeviceID) throws -> Bool {
        let removed = try database.write { database in
            try database.execute(sql: "DELETE FROM device WHERE id = ?", arguments: [Data(device.bytes)])
            return database.changesCount > 0
        }
        if removed {
            pastKeys.note()
            try erasePastKeys()
        }
        return removed
    }

    /// Cuts the write-ahead log if keys that were left may lie there. To be called now and then.
    public func erasePastKeys() throws {
        try pastKeys.erase { try database.truncateLog() }
    }

    /// The same, and a plain copy of the file holds what was written. To be called when there is nothing to do.
    public func tidy() throws {
        try erasePastKeys()
        try database.checkpoint()
    }

    /// Changes when another process changed the store.
    public func changeToken() throws -> Int64 {
        try database.read { try Int64.fetchOne($0, sql: "PRAGMA data_version") ?? 0 }
    }
}

extension GatewayStore: DeviceRegistry {
    public func credential(of device: DeviceID) throws -> Credential? {
        try lookups.read { database in
            let statement = try database.cachedStatement(
                sql: "SELECT kind, epoch, key_form, key FROM device WHERE id = ? AND disabled = 0")
            return try Row.fetchOne(statement, arguments: [Data(device.bytes)])
                .map { try self.database.credential($0.of("device"), device: device) }
        }
    }

    package func isDisabled(_ device: DeviceID) throws -> Bool {
        try lookups.read { database in
            let statement = try database.cachedStatement(sql: "SELECT disabled FROM device WHERE id = ?")
            return try Bool.fetchOne(statement, arguments: [Data(device.bytes)]) ?? false
        }
    }

    public func advance(to credential: Credential) throws {
        let epoch = try StoreDatabase.epoch(of: credential)
        let key = try database.closed(credential)
        let isMoved = try database.write { database in
            try database.execute(
                sql: """
                    UPDATE device SET epoch = ?, key_form = ?, key = ?
                    WHERE id = ? AND kind = 'evolving' AND epoch <= ?
                    """,
                arguments: [epoch, key.form, key.bytes, Data(credential.deviceID.bytes), epoch])
            return database.changesCount > 0
        }
        guard isMoved else {
            throw OuroborosError(
                .storage, "device \(credential.deviceID) was removed, or is at a later epoch already")
        }
        pastKeys.note()
    }
}
