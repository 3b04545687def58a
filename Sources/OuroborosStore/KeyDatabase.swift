import GRDB
import Ouroboros

/// An SQLite file that holds keys: private, durable, and of a schema that this version knows.
struct KeyDatabase {
    /// What a file is for: it stands in SQLite's application id.
    enum Purpose: Int32 {
        /// `OURG`
        case gateway = 0x4F55_5247
        /// `OURD`
        case device = 0x4F55_5244
    }

    static let schemaVersion = 1

    let queue: DatabaseQueue
    private let path: String

    init(path: String, purpose: Purpose, isExclusive: Bool) throws {
        self.path = path
        try PrivateFile.prepare(path)
        var configuration = Configuration()
        configuration.label = "ouroboros.store"
        configuration.busyMode = .timeout(2)
        configuration.journalMode = .wal
        configuration.prepareDatabase { database in
            // What is deleted or overwritten is zeroed in the file.
            try database.execute(sql: "PRAGMA secure_delete = ON")
            if isExclusive {
                try database.execute(sql: "PRAGMA locking_mode = EXCLUSIVE")
            }
        }
        do {
            queue = try DatabaseQueue(path: path, configuration: configuration)
            try queue.writeWithoutTransaction { database in
                // GRDB's WAL mode sets NORMAL after `prepareDatabase`; an epoch has to survive a power cut.
                try database.execute(sql: "PRAGMA synchronous = FULL")
            }
            try queue.write { try Self.prepareSchema($0, purpose, path) }
        } catch {
            throw Self.translate(error, path)
        }
    }

    private static func prepareSchema(_ database: Database, _ purpose: Purpose, _ path: String) throws {
        let application = try Int32.fetchOne(database, sql: "PRAGMA application_id") ?? 0
        let version = try Int.fetchOne(database, sql: "PRAGMA user_version") ?? 0
        let tables = try Int.fetchOne(database, sql: "SELECT COUNT(*) FROM sqlite_master") ?? 0
        if application == 0, version == 0, tables == 0 {
            try database.execute(sql: schema(of: purpose))
            try database.execute(sql: "PRAGMA application_id = \(purpose.rawValue)")
            try database.execute(sql: "PRAGMA user_version = \(schemaVersion)")
            return
        }
        guard application == purpose.rawValue else {
            let kind = purpose == .gateway ? "a gateway's store" : "a device's state"
            throw OuroborosError(.storage, "“\(path)” is another kind of file, not \(kind): name another one")
        }
        guard version <= schemaVersion else {
            throw OuroborosError(
                .storage,
                "“\(path)” was made by a newer version (schema \(version), this one knows \(schemaVersion)): "
                    + "update this program")
        }
    }

    private static func schema(of purpose: Purpose) -> String {
        switch purpose {
        case .gateway:
            """
            CREATE TABLE device (
                id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 8),
                name TEXT NOT NULL,
                kind TEXT NOT NULL CHECK (kind IN ('fixed', 'evolving')),
                epoch INTEGER NOT NULL CHECK (epoch >= 0),
                key_form TEXT NOT NULL,
                key BLOB NOT NULL,
                added_at INTEGER NOT NULL
            ) STRICT, WITHOUT ROWID
            """
        case .device:
            """
            CREATE TABLE credential (
                only INTEGER NOT NULL PRIMARY KEY CHECK (only = 1),
                device BLOB NOT NULL CHECK (length(device) = 8),
                kind TEXT NOT NULL CHECK (kind IN ('fixed', 'evolving')),
                epoch INTEGER NOT NULL CHECK (epoch >= 0),
                key_form TEXT NOT NULL,
                key BLOB NOT NULL
            ) STRICT
            """
        }
    }

    func read<Value>(_ body: (Database) throws -> Value) throws -> Value {
        do {
            return try queue.read(body)
        } catch {
            throw Self.translate(error, path)
        }
    }

    func write<Value>(_ body: (Database) throws -> Value) throws -> Value {
        do {
            return try queue.write(body)
        } catch {
            throw Self.translate(error, path)
        }
    }

    /// Old keys lie in the write-ahead log until it is cut.
    func truncateLog() throws {
        do {
            _ = try queue.writeWithoutTransaction { try $0.checkpoint(.truncate) }
        } catch {
            throw Self.translate(error, path)
        }
    }

    private static func translate(_ error: any Error, _ path: String) -> any Error {
        guard let error = error as? DatabaseError else { return error }
        let message =
            switch error.resultCode {
            case .SQLITE_BUSY, .SQLITE_LOCKED: "“\(path)” is in use by another process"
            case .SQLITE_NOTADB: "“\(path)” is no store of Ouroboros: name another file"
            case .SQLITE_CORRUPT: "“\(path)” is damaged: restore it from a backup"
            case .SQLITE_FULL: "the disk is full: “\(path)” was not changed"
            case .SQLITE_READONLY, .SQLITE_CANTOPEN, .SQLITE_PERM: "“\(path)” cannot be written"
            // SQLite's own words hold no values.
            default: "“\(path)”: \(error.message ?? "\(error.resultCode)")"
            }
        return OuroborosError(.storage, message)
    }
}
