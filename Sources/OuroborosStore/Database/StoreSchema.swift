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
        /// `OURQ`
        case downlink = 0x4F55_5251

        var name: String {
            switch self {
            case .gateway: "a gateway's store"
            case .device: "a device's state or outbox"
            case .spool: "a gateway's spool"
            case .downlink: "a gateway's queue of messages to devices"
            }
        }

        /// Each step makes the next version of the schema; the last one is the version that this program knows.
        var steps: [String] {
            switch self {
            case .gateway: [Self.devices, Self.sealing + Self.activity, Self.management]
            case .device:
                [
                    Self.credential, Self.sealing + Self.session + Self.outbox, Self.shortSessions,
                    Self.origin,
                ]
            case .spool: [Self.messages, Self.sinks, Self.deadLetters]
            case .downlink: [Self.waiting, Self.ends]
            }
        }

        func holdsKeys(_ database: Database) throws -> Bool {
            let sql =
                switch self {
                case .gateway: "SELECT EXISTS (SELECT 1 FROM device)"
                case .device:
                    "SELECT EXISTS (SELECT 1 FROM credential) OR EXISTS (SELECT 1 FROM saved_session)"
                case .spool, .downlink: "SELECT 0"
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

        /// `tags` are words with spaces between; `disabled` is 1 for a device that is refused.
        private static let management = """
            ALTER TABLE device ADD COLUMN session_at INTEGER;
            ALTER TABLE device ADD COLUMN address TEXT;
            ALTER TABLE device ADD COLUMN tags TEXT NOT NULL DEFAULT '';
            ALTER TABLE device ADD COLUMN disabled INTEGER NOT NULL DEFAULT 0;
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

        private static let shortSessions = """
            ALTER TABLE credential ADD COLUMN short_sessions INTEGER NOT NULL DEFAULT 0;
            """

        /// Which root key the credential began with, as a few bytes of its hash, and where the gateway is, if a token said it.
        private static let origin = """
            CREATE TABLE origin (
                only INTEGER NOT NULL PRIMARY KEY CHECK (only = 1),
                root_key BLOB NOT NULL,
                gateway TEXT
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

        /// A sink has passed all up to `position`; the batch that it was given last ends at `batch_end`.
        private static let sinks = """
            CREATE TABLE sink (
                name TEXT NOT NULL PRIMARY KEY,
                position INTEGER NOT NULL DEFAULT 0,
                batch_end INTEGER NOT NULL DEFAULT 0
            ) STRICT, WITHOUT ROWID;
            CREATE TABLE identity (
                only INTEGER NOT NULL PRIMARY KEY CHECK (only = 1),
                name TEXT NOT NULL
            ) STRICT;
            INSERT INTO identity (only, name) VALUES (1, lower(hex(randomblob(8))));
            """

        /// What a sink refused for good; `is_waiting` is 1 while it is to be tried again.
        private static let deadLetters = """
            CREATE TABLE dead_letter (
                sink TEXT NOT NULL,
                refused_at INTEGER NOT NULL,
                reason TEXT NOT NULL,
                retries INTEGER NOT NULL DEFAULT 0,
                is_waiting INTEGER NOT NULL DEFAULT 0,
                id INTEGER NOT NULL,
                received_at INTEGER NOT NULL,
                device BLOB NOT NULL CHECK (length(device) = 8),
                session INTEGER NOT NULL,
                counter INTEGER NOT NULL,
                box INTEGER,
                seq INTEGER,
                payload BLOB NOT NULL,
                PRIMARY KEY (id, sink)
            ) STRICT, WITHOUT ROWID;
            """

        private static let waiting = """
            CREATE TABLE message (
                id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
                device BLOB NOT NULL CHECK (length(device) = 8),
                queued_at INTEGER NOT NULL,
                expires_at INTEGER NOT NULL,
                state TEXT NOT NULL CHECK (state IN ('queued', 'sending', 'delivered', 'failed', 'unknown')),
                ended_at INTEGER,
                reason TEXT,
                payload BLOB NOT NULL
            ) STRICT;
            CREATE INDEX message_waits ON message (device, id) WHERE ended_at IS NULL;
            """

        /// Who looks for what has grown old finds that alone.
        private static let ends = """
            CREATE INDEX message_grows_old ON message (state, expires_at) WHERE ended_at IS NULL;
            CREATE INDEX message_ended ON message (ended_at) WHERE ended_at IS NOT NULL;
            """
    }
}
