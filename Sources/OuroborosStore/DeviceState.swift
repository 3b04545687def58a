import Foundation
import GRDB
import Ouroboros

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// A device's own durable state, in an SQLite file that one process at a time may use: its credential.
public final class DeviceState: Sendable {
    private let database: KeyDatabase
    private let lock: FileLock
    private let path: String

    /// Opens the file, or makes an empty one.
    public init(path: String) throws {
        self.path = path
        try PrivateFile.prepare(path)
        lock = try FileLock(path)
        database = try KeyDatabase(path: path, purpose: .device, isExclusive: true)
    }

    deinit {
        // SQLite first, the lock after it: SQLite's own locks go with any descriptor of the file that is closed.
        try? database.queue.close()
    }

    /// The credential; nil before the first ``save(_:)``.
    public func credential() throws -> Credential? {
        try database.read { database in
            try Row.fetchOne(database, sql: "SELECT device, kind, epoch, key_form, key FROM credential")
                .map { try StoredKey.credential($0, device: DeviceID($0["device"] as Data)) }
        }
    }
}

extension DeviceState: CredentialStore {
    public func save(_ credential: Credential) throws {
        let epoch = try StoredKey.epoch(of: credential)
        try database.write { database in
            let old = try Row.fetchOne(database, sql: "SELECT device, epoch FROM credential")
            if let old {
                let device = try DeviceID(old["device"] as Data)
                guard device == credential.deviceID, (old["epoch"] as Int64) <= epoch else {
                    throw OuroborosError(
                        .storage, "“\(path)” holds a later epoch, or the credential of another device")
                }
            }
            try database.execute(
                sql: """
                    INSERT OR REPLACE INTO credential (only, device, kind, epoch, key_form, key)
                    VALUES (1, ?, ?, ?, ?, ?)
                    """,
                arguments: [
                    Data(credential.deviceID.bytes), credential.kind.name, epoch, StoredKey.plain,
                    Data(StoredKey.bytes(of: credential.key)),
                ])
        }
        // The key that was left lies in the log until it is cut.
        try database.truncateLog()
    }
}

/// An advisory lock on a file, held while it lives.
private final class FileLock: Sendable {
    private let file: Int32

    init(_ path: String) throws {
        file = open(path, O_RDWR | O_CLOEXEC)
        guard file >= 0 else { throw PrivateFile.failure("cannot open “\(path)”") }
        guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
            let error =
                errno == EWOULDBLOCK
                ? OuroborosError(.storage, "“\(path)” is in use by another process")
                : PrivateFile.failure("cannot lock “\(path)”")
            close(file)
            throw error
        }
    }

    deinit {
        close(file)
    }
}
