import GRDB

extension StoreDatabase {
    /// What a file is for: it stands in SQLite's application id.
    enum Purpose: Int32 {
        /// `OURG`
        case gateway = 0x4F55_5247
        /// `OURD`: a device's credential, saved session and outbox, each of which may be missing.
        case device = 0x4F55_5244
        /// `OURS`
        case spool = 0x4F55_5253

        var name: String {
            switch self {
            case .gateway: "a gateway's store"
            case .device: "a device's state or outbox"
            case .spool: "a gateway's spool"
            }
        }

        /// Each step makes the next version of the schema; the last one is the version that this program knows.
        var steps: [String] {
            switch self {
            case .gateway: [Self.devices, Self.sealing + Self.activity]
            case .device: [Self.credential, Self.sealing + Self.session + Self.outbox]
            case .spool: [Self.messages]
            }
        }

        func holdsKeys(_ database: Database) throws -> Bool {
            let sql =
                switch self {
                case .gateway: "SELECT EXISTS (SELECT 1 FROM device)"
                case .device:
                    "SELECT EXISTS (SELECT 1 FROM credential) OR EXISTS (SELECT 1 FROM saved_session)"
                case .spool: "SELECT 0"
                }
            return try Bool.fetchOne(database, sql: sql) ?? false
        }

        private static let devices = """
            CREATE TABLE device (
                id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 8),
                name TEXT NOT NULL,
                kind TEXT NOT NULL CHECK (kind IN ('fixed', 'evolving')),
                epoch INTEGER NOT NULL CHECK (epoch >= 0),
                key_form TEXT NOT NULL,
                key BLOB NOT NULL,
                added_at INTEGER NOT NULL
            ) STRICT, WITHOUT ROWID;
            """

        private static let activity = """
            ALTER TABLE device ADD COLUMN last_seen INTEGER;
            ALTER TABLE device ADD COLUMN sessions INTEGER NOT NULL DEFAULT 0;
            ALTER TABLE device ADD COLUMN messages INTEGER NOT NULL DEFAULT 0;
            ALTER TABLE device ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;
            """

        private static let credential = """
            CREATE TABLE credential (
                only INTEGER NOT NULL PRIMARY KEY CHECK (only = 1),
                device BLOB NOT NULL CHECK (length(device) = 8),
                kind TEXT NOT NULL CHECK (kind IN ('fixed', 'evolving')),
                epoch INTEGER NOT NULL CHECK (epoch >= 0),
                key_form TEXT NOT NULL,
                key BLOB NOT NULL
            ) STRICT;
            """

        private static let sealing = """
            CREATE TABLE sealing (
                only INTEGER NOT NULL PRIMARY KEY CHECK (only = 1),
                salt BLOB NOT NULL CHECK (length(salt) = 16),
                proof BLOB NOT NULL
            ) STRICT;
            """

        private static let session = """
            CREATE TABLE saved_session (
                only INTEGER NOT NULL PRIMARY KEY CHECK (only = 1),
                device BLOB NOT NULL CHECK (length(device) = 8),
                saved_at INTEGER NOT NULL,
                form TEXT NOT NULL,
                session BLOB NOT NULL
            ) STRICT;
            """

        private static let outbox = """
            CREATE TABLE outbox (
                only INTEGER NOT NULL PRIMARY KEY CHECK (only = 1),
                box INTEGER NOT NULL CHECK (box BETWEEN 1 AND 4294967295),
                next_seq INTEGER NOT NULL CHECK (next_seq BETWEEN 0 AND 4294967296),
                dropped INTEGER NOT NULL DEFAULT 0
            ) STRICT;
            CREATE TABLE outbox_message (
                id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
                box INTEGER NOT NULL,
                seq INTEGER NOT NULL,
                queued_at INTEGER NOT NULL,
                payload BLOB NOT NULL,
                UNIQUE (box, seq)
            ) STRICT;
            """

        private static let messages = """
            CREATE TABLE message (
                id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
                received_at INTEGER NOT NULL,
                device BLOB NOT NULL CHECK (length(device) = 8),
                session INTEGER NOT NULL,
                counter INTEGER NOT NULL,
                box INTEGER,
                seq INTEGER,
                payload BLOB NOT NULL
            ) STRICT;
            CREATE TABLE once_record (
                device BLOB NOT NULL CHECK (length(device) = 8),
                box INTEGER NOT NULL,
                highest INTEGER NOT NULL,
                below INTEGER NOT NULL,
                used INTEGER NOT NULL,
                PRIMARY KEY (device, box)
            ) STRICT, WITHOUT ROWID;
            """
    }
}
