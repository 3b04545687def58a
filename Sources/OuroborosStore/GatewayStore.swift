import Foundation
import GRDB
import Ouroboros
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// A device as a gateway's store lists it, without its key.
public struct DeviceRecord: Sendable, Hashable {
    public let id: DeviceID
    public let name: String
    public let kind: Credential.Kind
    public let epoch: UInt64
    /// Seconds since 1970.
    public let addedAt: Int64
}

/// A gateway's devices in an SQLite file. Several processes may use it at once.
public final class GatewayStore: Sendable {
    private let database: KeyDatabase
    /// True while keys that were left may lie in the write-ahead log.
    private let hasOldKeys = Mutex(false)

    public init(path: String) throws {
        database = try KeyDatabase(path: path, purpose: .gateway, isExclusive: false)
    }

    deinit {
        try? erasePastKeys()
    }

    public func add(_ credential: Credential, name: String) throws {
        let epoch = try StoredKey.epoch(of: credential)
        try database.write { database in
            let id = Data(credential.deviceID.bytes)
            let exists = try Row.fetchOne(database, sql: "SELECT 1 FROM device WHERE id = ?", arguments: [id])
            guard exists == nil else {
                throw OuroborosError(
                    .storage, "device \(credential.deviceID) is in the store already: remove it first")
            }
            try database.execute(
                sql: """
                    INSERT INTO device (id, name, kind, epoch, key_form, key, added_at)
                    VALUES (?, ?, ?, ?, ?, ?, ?)
                    """,
                arguments: [
                    id, name, credential.kind.name, epoch, StoredKey.plain,
                    Data(StoredKey.bytes(of: credential.key)), Int64(time(nil)),
                ])
        }
    }

    public func list() throws -> [DeviceRecord] {
        try database.read { database in
            try Row.fetchAll(database, sql: "SELECT id, name, kind, epoch, added_at FROM device ORDER BY id")
                .map { row in
                    let kind: String = row["kind"]
                    let epoch: Int64 = row["epoch"]
                    return DeviceRecord(
                        id: try DeviceID(row["id"] as Data), name: row["name"],
                        kind: kind == "fixed" ? .fixed : .evolving, epoch: UInt64(epoch),
                        addedAt: row["added_at"])
                }
        }
    }

    /// False when there is no such device.
    public func remove(_ device: DeviceID) throws -> Bool {
        let removed = try database.write { database in
            try database.execute(sql: "DELETE FROM device WHERE id = ?", arguments: [Data(device.bytes)])
            return database.changesCount > 0
        }
        if removed {
            hasOldKeys.withLock { $0 = true }
            try erasePastKeys()
        }
        return removed
    }

    /// Cuts the write-ahead log if keys that were left may lie there. To be called now and then.
    public func erasePastKeys() throws {
        if hasOldKeys.withLock({ $0 }) {
            try database.truncateLog()
            hasOldKeys.withLock { $0 = false }
        }
    }

    /// Changes when another process changed the store.
    public func changeToken() throws -> Int64 {
        try database.read { try Int64.fetchOne($0, sql: "PRAGMA data_version") ?? 0 }
    }
}

extension GatewayStore: DeviceRegistry {
    public func credential(of device: DeviceID) throws -> Credential? {
        try database.read { database in
            let statement = try database.cachedStatement(
                sql: "SELECT kind, epoch, key_form, key FROM device WHERE id = ?")
            return try Row.fetchOne(statement, arguments: [Data(device.bytes)])
                .map { try StoredKey.credential($0, device: device) }
        }
    }

    public func advance(to credential: Credential) throws {
        let epoch = try StoredKey.epoch(of: credential)
        let isMoved = try database.write { database in
            try database.execute(
                sql: """
                    UPDATE device SET epoch = ?, key_form = ?, key = ?
                    WHERE id = ? AND kind = 'evolving' AND epoch <= ?
                    """,
                arguments: [
                    epoch, StoredKey.plain, Data(StoredKey.bytes(of: credential.key)),
                    Data(credential.deviceID.bytes), epoch,
                ])
            return database.changesCount > 0
        }
        guard isMoved else {
            throw OuroborosError(
                .storage, "device \(credential.deviceID) was removed, or is at a later epoch already")
        }
        hasOldKeys.withLock { $0 = true }
    }
}
