import Foundation
import Ouroboros
import OuroborosStore

/// The tables, in a schema of their own, `ouroboros`. Each step makes the next version; the last is the one that this
/// program knows.
enum RegistrySchema {
    private static let steps = [
        [device, sealing, message, onceRecord],
        [sink, identity, nameIdentity],
        [downlink, downlinkWaits, downlinkEnded],
        [generation],
        [deadLetter],
        [messageMarks, storedBatch, storedBatchAt],
        [downlinkGrowsOld],
        [management],
    ]

    /// Makes what is missing. Two that do so at once do it one after the other.
    static func bringUpToDate(_ connection: PostgresConnection, _ name: String) throws {
        if try version(connection) == steps.count { return }
        try connection.transaction {
            try connection.query("SELECT pg_advisory_xact_lock(\(Lock.schema.rawValue))")
            var version = try version(connection)
            guard version <= steps.count else {
                throw OuroborosError(
                    .storage,
                    "the registry \(name) was made by a newer version (schema \(version), this one knows \(steps.count)): "
                        + "update this program")
            }
            if version == 0 {
                try connection.query("CREATE SCHEMA IF NOT EXISTS ouroboros")
                try connection.query("CREATE TABLE ouroboros.version (number bigint NOT NULL)")
                try connection.query("INSERT INTO ouroboros.version VALUES (0)")
            }
            while version < steps.count {
                for statement in steps[version] {
                    try connection.query(statement)
                }
                version += 1
            }
            try connection.query("UPDATE ouroboros.version SET number = $1", [.integer(Int64(version))])
        }
    }

    private static func version(_ connection: PostgresConnection) throws -> Int {
        // A scan of the catalogue sees what another gateway has just made; names that are looked up may be cached.
        let found = try connection.query(
            "SELECT 1 FROM pg_tables WHERE schemaname = 'ouroboros' AND tablename = 'version'")
        guard !found.rows(of: "version").isEmpty else { return 0 }
        let row = try connection.query("SELECT number FROM ouroboros.version").rows(of: "version").first
        guard let row else { return 0 }
        let version: Int = try row.number(0)
        guard version >= 0 else { throw row.wrong(0, "is negative") }
        return version
    }

    /// Advisory locks, which are a database's: `ouro` and a number.
    enum Lock: Int64 {
        case schema = 0x6f75_726f_0001
        /// Who adds a message to a device has counted all others.
        case downlink = 0x6f75_726f_0003

        /// The first of two numbers, `ouro`; the second is a sink's.
        static let sinks: Int32 = 0x6f75_726f

        /// Whoever stores messages holds this plus the last id that was given away before: its own come after that.
        static let spoolMarks: Int64 = 0x6f76 << 48
    }

    private static let device = """
        CREATE TABLE ouroboros.device (
            id bytea PRIMARY KEY CHECK (length(id) = 8),
            name text NOT NULL,
            kind text NOT NULL CHECK (kind IN ('fixed', 'evolving')),
            epoch bigint NOT NULL CHECK (epoch >= 0),
            key_form text NOT NULL CHECK (key_form <> 'plain'),
            key bytea NOT NULL,
            move bytea,
            added_at bigint NOT NULL,
            last_seen bigint,
            sessions bigint NOT NULL DEFAULT 0,
            messages bigint NOT NULL DEFAULT 0,
            bytes bigint NOT NULL DEFAULT 0
        )
        """

    /// `tags` are words with spaces between; `disabled` is 1 for a device that is refused.
    private static let management = """
        ALTER TABLE ouroboros.device ADD COLUMN IF NOT EXISTS session_at bigint,
            ADD COLUMN IF NOT EXISTS address text, ADD COLUMN IF NOT EXISTS tags text NOT NULL DEFAULT '',
            ADD COLUMN IF NOT EXISTS disabled bigint NOT NULL DEFAULT 0
        """

    /// Of a device with a fixed credential, also where it has no row above: it stays when that goes. `move` names the one
    /// that made the number.
    private static let generation = """
        CREATE TABLE ouroboros.generation (
            device bytea PRIMARY KEY CHECK (length(device) = 8),
            number bigint NOT NULL CHECK (number >= 0),
            move bytea
        )
        """

    private static let sealing = """
        CREATE TABLE ouroboros.sealing (
            only_row bigint PRIMARY KEY CHECK (only_row = 1),
            salt bytea NOT NULL CHECK (length(salt) = 16),
            proof bytea NOT NULL
        )
        """

    private static let message = """
        CREATE TABLE ouroboros.message (
            id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
            received_at bigint NOT NULL,
            device bytea NOT NULL CHECK (length(device) = 8),
            session bigint NOT NULL,
            counter bigint NOT NULL,
            box bigint,
            seq bigint,
            payload bytea NOT NULL
        )
        """

    /// An earlier program would read on from an id that is not the last of those before it.
    private static let messageMarks = """
        COMMENT ON TABLE ouroboros.message IS
            'Whoever stores holds a mark, an advisory lock; whoever reads goes no further than the lowest one.'
        """

    /// Who stores a batch and does not hear whether it is stored finds its token here.
    private static let storedBatch = """
        CREATE TABLE IF NOT EXISTS ouroboros.stored_batch (
            token bigint CONSTRAINT \(tokenIsThere) PRIMARY KEY,
            at timestamptz NOT NULL DEFAULT clock_timestamp()
        )
        """

    static let tokenIsThere = "stored_batch_token"

    private static let storedBatchAt = """
        CREATE INDEX IF NOT EXISTS stored_batch_at ON ouroboros.stored_batch (at)
        """

    private static let onceRecord = """
        CREATE TABLE ouroboros.once_record (
            device bytea NOT NULL CHECK (length(device) = 8),
            box bigint NOT NULL,
            highest bigint NOT NULL,
            below bigint NOT NULL,
            used bigint NOT NULL,
            PRIMARY KEY (device, box)
        )
        """

    /// A sink has passed all up to `position`; the batch that it was given last ends at `batch_end`. `number` names its
    /// advisory lock.
    private static let sink = """
        CREATE TABLE ouroboros.sink (
            name text PRIMARY KEY,
            number integer GENERATED ALWAYS AS IDENTITY,
            position bigint NOT NULL DEFAULT 0,
            batch_end bigint NOT NULL DEFAULT 0
        )
        """

    private static let identity = """
        CREATE TABLE ouroboros.identity (
            only_row bigint PRIMARY KEY CHECK (only_row = 1),
            name text NOT NULL
        )
        """

    private static let nameIdentity = """
        INSERT INTO ouroboros.identity VALUES (1, right(replace(gen_random_uuid()::text, '-', ''), 16))
        """

    /// `request` names the call that added a message, `take` the one that it was handed out to. Whoever has it is the
    /// gateway of that number, in a run of the program.
    private static let downlink = """
        CREATE TABLE ouroboros.downlink (
            id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
            request bigint NOT NULL UNIQUE,
            device bytea NOT NULL CHECK (length(device) = 8),
            queued_at bigint NOT NULL,
            expires_at bigint NOT NULL,
            state text NOT NULL CHECK (state IN ('queued', 'sending', 'delivered', 'failed', 'unknown')),
            gateway bigint,
            run bigint,
            take bigint,
            ended_at bigint CHECK ((ended_at IS NULL) = (state IN ('queued', 'sending'))),
            reason text,
            payload bytea NOT NULL
        )
        """

    private static let downlinkWaits = """
        CREATE INDEX downlink_waits ON ouroboros.downlink (device, id) WHERE ended_at IS NULL
        """

    private static let downlinkGrowsOld = """
        CREATE INDEX IF NOT EXISTS downlink_grows_old ON ouroboros.downlink (state, expires_at) WHERE ended_at IS NULL
        """

    private static let downlinkEnded = """
        CREATE INDEX downlink_ended ON ouroboros.downlink (ended_at) WHERE ended_at IS NOT NULL
        """

    /// What a sink refused for good.
    private static let deadLetter = """
        CREATE TABLE ouroboros.dead_letter (
            sink text NOT NULL,
            refused_at bigint NOT NULL,
            reason text NOT NULL,
            retries bigint NOT NULL DEFAULT 0,
            is_waiting boolean NOT NULL DEFAULT false,
            id bigint NOT NULL,
            received_at bigint NOT NULL,
            device bytea NOT NULL CHECK (length(device) = 8),
            session bigint NOT NULL,
            counter bigint NOT NULL,
            box bigint,
            seq bigint,
            payload bytea NOT NULL,
            PRIMARY KEY (id, sink)
        )
        """
}
