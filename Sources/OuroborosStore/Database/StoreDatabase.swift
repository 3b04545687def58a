import GRDB
import LibC
import Ouroboros

/// An SQLite file of ours: private, durable, and of a schema that this version knows.
struct StoreDatabase {
    let queue: DatabaseQueue
    let path: String
    let vault: Vault
    let health = SharedWriteHealth()

    /// Files up to so many pages are checked whole when they are opened.
    private static let mostPagesChecked = 4096

    init(
        path: String, purpose: Purpose, isExclusive: Bool, keyEncryptionKey: SecretKey? = nil
    ) throws {
        self.path = path
        try PrivateFile.prepare(path)
        do {
            if !isExclusive {
                try Self.inspect(path, purpose)
            }
            queue = try DatabaseQueue(path: path, configuration: Self.configuration(isExclusive: isExclusive))
            try queue.writeWithoutTransaction { database in
                if isExclusive {
                    // A second connection would need room on the disk for what the two of them share.
                    try Self.inspect(database, purpose, path)
                    try database.execute(sql: "PRAGMA journal_mode = WAL")
                }
                // GRDB's WAL mode sets NORMAL after `prepareDatabase`; an epoch has to survive a power cut.
                try database.execute(sql: "PRAGMA synchronous = FULL")
            }
            vault = try queue.write { database in
                try Self.bringUpToDate(database, purpose, path)
                return purpose == .spool || purpose == .downlink
                    ? .plain
                    : try Vault.open(
                        in: database, purpose: purpose, path: path, keyEncryptionKey: keyEncryptionKey)
            }
        } catch {
            throw Self.translate(error, path)
        }
    }

    private static func configuration(isExclusive: Bool) -> Configuration {
        var configuration = Configuration()
        configuration.label = "ouroboros.store"
        configuration.busyMode = .timeout(2)
        configuration.journalMode = isExclusive ? .default : .wal
        configuration.prepareDatabase { database in
            // What is deleted or overwritten is zeroed in the file.
            try database.execute(sql: "PRAGMA secure_delete = ON")
            if isExclusive {
                try database.execute(sql: "PRAGMA locking_mode = EXCLUSIVE")
            }
        }
        return configuration
    }

    /// Refuses another program's file before anything is written to it: WAL mode alone changes a file.
    private static func inspect(_ path: String, _ purpose: Purpose) throws {
        var status = stat()
        guard stat(path, &status) == 0, status.st_size > 0 else { return }
        var configuration = Configuration()
        configuration.readonly = true
        configuration.busyMode = .timeout(2)
        let reader = try DatabaseQueue(path: path, configuration: configuration)
        try reader.read { try inspect($0, purpose, path) }
        try reader.close()
    }

    private static func inspect(_ database: Database, _ purpose: Purpose, _ path: String) throws {
        _ = try version(database, purpose, path)
        let pages = try Int.fetchOne(database, sql: "PRAGMA page_count") ?? 0
        guard pages <= mostPagesChecked else { return }
        let finding = try String.fetchOne(database, sql: "PRAGMA quick_check(1)")
        guard finding == "ok" else {
            throw DatabaseError(resultCode: .SQLITE_CORRUPT)
        }
    }

    /// The version of the file's schema, 0 for an empty file.
    private static func version(_ database: Database, _ purpose: Purpose, _ path: String) throws -> Int {
        let application = try Int32.fetchOne(database, sql: "PRAGMA application_id") ?? 0
        let version = try Int.fetchOne(database, sql: "PRAGMA user_version") ?? 0
        let tables = try Int.fetchOne(database, sql: "SELECT COUNT(*) FROM sqlite_master") ?? 0
        if application == 0, version == 0, tables == 0 {
            return 0
        }
        guard application == purpose.rawValue else {
            throw OuroborosError(
                .storage, "“\(path)” is another kind of file, not \(purpose.name): name another one")
        }
        guard version >= 0 else {
            throw OuroborosError(.storage, "“\(path)” has a schema that is none: restore it from a backup")
        }
        guard version <= purpose.steps.count else {
            throw OuroborosError(
                .storage,
                "“\(path)” was made by a newer version (schema \(version), this one knows \(purpose.steps.count)): "
                    + "update this program")
        }
        return version
    }

    private static func bringUpToDate(_ database: Database, _ purpose: Purpose, _ path: String) throws {
        let version = try version(database, purpose, path)
        let steps = purpose.steps
        guard version < steps.count else { return }
        for step in steps[version...] {
            try database.execute(sql: step)
        }
        try database.execute(sql: "PRAGMA application_id = \(purpose.rawValue)")
        try database.execute(sql: "PRAGMA user_version = \(steps.count)")
    }

    /// Throws unless the keys can be read.
    func requireKeys() throws {
        if case .locked = vault { throw Vault.missingKey(path) }
    }

    func read<Value>(_ body: (Database) throws -> Value) throws -> Value {
        do {
            return try queue.read(body)
        } catch {
            throw health.translated(error, path)
        }
    }

    func write<Value>(_ body: (Database) throws -> Value) throws -> Value {
        do {
            let value = try queue.write(body)
            health.note(.success(()))
            return value
        } catch {
            let error = health.translated(error, path)
            health.note(.failure(error))
            throw error
        }
    }

    /// A write that changes nothing, which tells whether the file can be written again.
    func probe() throws {
        try write { database in
            let version = try Int.fetchOne(database, sql: "PRAGMA user_version") ?? 0
            try database.execute(sql: "PRAGMA user_version = \(version)")
        }
    }

    /// Brings what lies in the write-ahead log into the file, as far as nobody reads what was before.
    func checkpoint() throws {
        do {
            _ = try queue.writeWithoutTransaction { try $0.checkpoint(.passive) }
        } catch {
            throw health.translated(error, path)
        }
    }

    /// Old keys lie in the write-ahead log until it is cut.
    func truncateLog() throws {
        do {
            _ = try queue.writeWithoutTransaction { try $0.checkpoint(.truncate) }
        } catch {
            throw health.translated(error, path)
        }
    }

    static func translate(_ error: any Error, _ path: String) -> any Error {
        switch error {
        case let error as DatabaseError:
            StoreFailure(error.resultCode).error(path, error.message ?? "\(error.resultCode)")
        case let row as UnreadableRow:
            OuroborosError(.storage, "“\(path)”: \(row): restore the file from a backup")
        case is RowDecodingError:
            OuroborosError(.storage, "“\(path)” holds a value of the wrong type: restore it from a backup")
        default: error
        }
    }
}
