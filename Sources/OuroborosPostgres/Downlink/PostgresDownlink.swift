import Foundation
import Logging
import Ouroboros
import OuroborosStore

/// Messages to devices of gateways that share a database. A message is handed out once at a time: what becomes of it is
/// written only by the call that it was handed out to, so that nobody sends it twice.
public final class PostgresDownlink: DownlinkStore {
    let store: PostgresStore
    let gateway: PostgresValue
    /// This run of the program.
    let run = PostgresValue.integer(PostgresDownlink.random())
    let takes = DownlinkTakes()
    private let limits: DownlinkLimits
    private let logger: Logger?

    public var isShared: Bool { true }

    /// How long a message whose answer was lost is added again.
    private static let addPatience = Duration.seconds(5)
    /// How long after its time to live a message may be under way before another gateway takes it for lost, in
    /// milliseconds: clocks differ, and outcomes wait for a database that is away.
    private static let grace: Int64 = 60_000
    static let columns = "id, device, queued_at, expires_at, state, reason, payload"

    /// What an earlier run of the gateway with that number had under way may have arrived: it is *unknown*.
    public init(
        _ store: PostgresStore, gateway: UInt8, limits: DownlinkLimits = .init(), now: Int64,
        logger: Logger? = nil
    ) async throws {
        self.store = store
        self.gateway = .integer(Int64(gateway))
        self.limits = limits
        self.logger = logger
        let (gateway, run) = (self.gateway, run)
        try await store.database.run { connection in
            try connection.transaction {
                try Self.lock(connection)
                let ended = try connection.query(
                    """
                    UPDATE ouroboros.downlink SET state = 'unknown', ended_at = $1, payload = '', reason = $2
                    WHERE ended_at IS NULL AND state = 'sending' AND gateway = $3 AND run <> $4 RETURNING id, device
                    """, [.integer(now), .text(DownlinkEntry.gatewayEnded), gateway, run])
                try Self.tell(ended.rows, connection)
            }
        }
    }

    static func random() -> Int64 {
        var generator = SystemRandomNumberGenerator()
        return .random(in: .min ... .max, using: &generator)
    }

    /// Until the transaction ends: what is counted stays, and no two write the same many rows.
    private static func lock(_ connection: PostgresConnection) throws {
        try connection.query("SELECT pg_advisory_xact_lock(\(RegistrySchema.Lock.downlink.rawValue))")
    }

    /// Rows of id and device, whose fates are known.
    static func tell(_ rows: [PostgresRow], _ connection: PostgresConnection) throws {
        try RegistryMessage.send(
            rows.map { .settled(try DeviceID(try $0.bytes(1)), id: try $0.integer(0)) }, on: connection)
    }

    static func entry(_ row: PostgresRow) throws -> DownlinkEntry {
        try DownlinkEntry(
            id: row.integer(0), device: DeviceID(row.bytes(1)), queuedAt: row.integer(2),
            expiresAt: row.integer(3), state: row.text(4), reason: row.optionalText(5),
            payload: Array(row.bytes(6)))
    }

    // MARK: For those who send

    /// Where the answer is lost it is asked again: the row says whose it is.
    public func add(
        _ payload: [UInt8], for device: DeviceID, expiresAt: Int64, now: Int64
    ) async throws -> DownlinkEntry {
        let request = PostgresValue.integer(Self.random())
        do {
            return try await store.database.run(retryingFor: Self.addPatience) { [limits] connection in
                try connection.transaction {
                    try Self.lock(connection)
                    let found = try connection.query(
                        "SELECT \(Self.columns) FROM ouroboros.downlink WHERE request = $1", [request]
                    ).rows.first.map(Self.entry)
                    if let found { return found }
                    try limits.check(
                        bytes: payload.count, of: device, own: Self.load(of: device, connection),
                        all: Self.load(of: nil, connection))
                    let added = try connection.query(
                        """
                        INSERT INTO ouroboros.downlink (request, device, queued_at, expires_at, state, payload)
                        VALUES ($1, $2, $3, $4, 'queued', $5) RETURNING \(Self.columns)
                        """,
                        [request, device.value, .integer(now), .integer(expiresAt), .bytes(Data(payload))]
                    ).rows.first.map(Self.entry)
                    guard let added else {
                        throw OuroborosError(.storage, "the registry did not keep a message to a device")
                    }
                    try RegistryMessage.queued(device).send(on: connection)
                    return added
                }
            }
        } catch {
            guard PostgresDatabase.isAway(error) else { throw error }
            throw OuroborosError(
                .unknown, "the registry went away, and the message may be queued or not: \(error)")
        }
    }

    public func entry(_ id: Int64) async throws -> DownlinkEntry? {
        try await store.database.run { connection in
            try connection.query(
                "SELECT \(Self.columns) FROM ouroboros.downlink WHERE id = $1", [.integer(id)]
            ).rows.first.map(Self.entry)
        }
    }

    public func pending(among ids: [Int64]) async throws -> Set<Int64> {
        try await store.database.run { connection in
            let rows = try connection.query(
                "SELECT id FROM ouroboros.downlink WHERE id = ANY($1) AND ended_at IS NULL", [.integers(ids)]
            ).rows
            return Set(try rows.map { try $0.integer(0) })
        }
    }

    public func load() async throws -> SpoolLoad {
        try await store.database.run { try Self.load(of: nil, $0) }
    }

    private static func load(of device: DeviceID?, _ connection: PostgresConnection) throws -> SpoolLoad {
        let row = try connection.query(
            """
            SELECT count(*), coalesce(sum(length(payload)), 0)::bigint FROM ouroboros.downlink
            WHERE ended_at IS NULL AND ($1::bytea IS NULL OR device = $1)
            """, [device?.value ?? .null]
        ).rows.first
        return SpoolLoad(messages: Int(try row?.integer(0) ?? 0), bytes: Int(try row?.integer(1) ?? 0))
    }

    // MARK: What grew old

    /// What a gateway has under way long after its time is over may have arrived: that gateway does not come back.
    public func expire(now: Int64) async throws -> [Int64: DownlinkState] {
        try await store.database.run { [limits] connection in
            try connection.transaction {
                try Self.lock(connection)
                let failed = try Self.end(
                    .queued, as: .failed, DownlinkEntry.neverThere, old: now, now, connection)
                let unknown = try Self.end(
                    .sending, as: .unknown, DownlinkEntry.gatewayEnded, old: now - Self.grace, now, connection
                )
                try connection.query(
                    "DELETE FROM ouroboros.downlink WHERE ended_at <= $1", [.integer(now - limits.memory)])
                try Self.tell(failed + unknown, connection)
                let fates =
                    try failed.map { (try $0.integer(0), DownlinkState.failed) }
                    + unknown.map { (try $0.integer(0), .unknown) }
                return Dictionary(uniqueKeysWithValues: fates)
            }
        }
    }

    public func firstExpiry() async throws -> Int64? {
        try await store.database.run { connection in
            try connection.query(
                "SELECT min(expires_at) FROM ouroboros.downlink WHERE ended_at IS NULL AND state = 'queued'"
            ).rows.first?.optionalInteger(0)
        }
    }

    private static func end(
        _ state: DownlinkState, as outcome: DownlinkState, _ reason: String, old: Int64, _ now: Int64,
        _ connection: PostgresConnection
    ) throws -> [PostgresRow] {
        try connection.query(
            """
            UPDATE ouroboros.downlink SET state = $1, reason = $2, ended_at = $3, payload = ''
            WHERE ended_at IS NULL AND state = $4 AND expires_at <= $5 RETURNING id, device
            """,
            [
                .text(outcome.rawValue), .text(reason), .integer(now), .text(state.rawValue),
                .integer(old),
            ]
        ).rows
    }

    // MARK: From the others

    /// Its own come back too.
    public func notices() -> AsyncStream<DownlinkNotice> {
        RegistryListener.notices(of: store.database, logger: logger) { event in
            switch event {
            case .message(.queued(let device)): .waits(device)
            case .message(.settled(_, let id)): .settled(id)
            case .message(.confirmed), .message(.changed): nil
            case .listening: .missed
            }
        }
    }
}
