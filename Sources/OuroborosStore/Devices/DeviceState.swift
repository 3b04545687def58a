import Foundation
import GRDB
import Ouroboros

/// A device's own durable state, in an SQLite file that one process at a time may use: its credential, a
/// session that sleeps, and, if it keeps one, its outbox.
public final class DeviceState: Sendable {
    let database: StoreDatabase
    private let lock: FileLock
    public let path: String

    /// Opens the file, or makes an empty one. With a key-encryption key what it holds of keys is sealed; a file
    /// whose keys were stored without one is refused then.
    public init(path: String, keyEncryptionKey: SecretKey? = nil) throws {
        self.path = path
        try PrivateFile.prepare(path)
        lock = try FileLock(path)
        database = try StoreDatabase(
            path: path, purpose: .device, isExclusive: true, keyEncryptionKey: keyEncryptionKey)
    }

    deinit {
        // SQLite first, the lock after it: SQLite's own locks go with any descriptor of the file that is closed.
        try? database.queue.close()
    }

    public var isSealed: Bool { database.vault.isSealed }

    /// The credential; nil before the first ``save(_:)-(Credential)``.
    public func credential() throws -> Credential? {
        try database.read(storedCredential)
    }

    private func storedCredential(_ database: Database) throws -> Credential? {
        let found = try Row.fetchOne(
            database, sql: "SELECT device, kind, epoch, short_sessions, key_form, key FROM credential")
        guard let row = found?.of("credential") else { return nil }
        return try self.database.credential(
            row, device: try row.device("device"),
            shortSessions: UInt8(clamping: try row.integer("short_sessions")))
    }
}

extension DeviceState: CredentialStore {
    /// A session that was saved under an earlier credential is void with this.
    public func save(_ credential: Credential) throws {
        try database.write(writing(credential))
        // The key that was left lies in the log until it is cut.
        try database.truncateLog()
    }

    /// What writes it, in a transaction.
    func writing(_ credential: Credential) throws -> (Database) throws -> Void {
        let epoch = try StoreDatabase.epoch(of: credential)
        let key = try database.closed(credential)
        return { [path] database in
            let row = try Row.fetchOne(database, sql: "SELECT device, epoch FROM credential")
            if let old = row?.of("credential") {
                guard try old.device("device") == credential.deviceID, try old.integer("epoch") <= epoch
                else {
                    throw OuroborosError(
                        .storage, "“\(path)” holds a later epoch, or the credential of another device")
                }
            }
            try database.execute(
                sql: """
                    INSERT OR REPLACE INTO credential (only, device, kind, epoch, short_sessions, key_form, key)
                    VALUES (1, ?, ?, ?, ?, ?, ?)
                    """,
                arguments: [
                    Data(credential.deviceID.bytes), credential.kind.name, epoch,
                    Int64(credential.shortSessions), key.form, key.bytes,
                ])
            try database.execute(sql: "DELETE FROM saved_session")
        }
    }
}
