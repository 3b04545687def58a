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
        try await store.database.run { [self] connection in
            try connection.transaction {
                try connection.run([Self.lock])
                let ended = try connection.query(
                    """
                    UPDATE ouroboros.downlink SET state = 'unknown', ended_at = $1, payload = '', reason = $2
                    WHERE ended_at IS NULL AND state = 'sending' AND gateway = $3 AND run <> $4 RETURNING id, device
                    """, [.integer(now), .text(DownlinkEntry.gatewayEnded), self.gateway, run])
                try tell(ended, connection)
            }
        }
    }

    static func random() -> Int64 {
        var generator = SystemRandomNumberGenerator()
        return .random(in: .min ... .max, using: &generator)
    }

    /// Until the transaction ends: what is counted stays, and no two write the same many rows.
    private static let lock = PostgresStatement(
        "SELECT pg_advisory_xact_lock($1)", [.integer(RegistrySchema.Lock.downlink.rawValue)])

    /// Of the messages whose id and device are answered the fates are known.
    func tell(_ answer: PostgresAnswer, _ connection: PostgresConnection) throws {
        let settled = try store.unreadable.readable(answer.rows(of: "downlink")) {
            RegistryMessage.settled(try $0.device(1), id: try $0.integer(0))
        }
        try RegistryMessage.send(settled, on: connection)
    }

    static func entry(_ row: PostgresRow) throws -> DownlinkEntry {
        DownlinkEntry(
            id: try row.integer(0), device: try row.device(1), queuedAt: try row.milliseconds(2),
            expiresAt: try row.milliseconds(3), state: try row.state(4), reason: try row.optionalText(5),
            payload: Array(try row.bytes(6)))
    }

    // MARK: For those who send

    /// Where the answer is lost it is asked again: the row says whose it is.
    public func add(
        _ payload: [UInt8], for device: DeviceID, expiresAt: Int64, now: Int64
    ) async throws -> DownlinkEntry {
        let request = PostgresValue.integer(Self.random())
        do {
            return try await store.database.run(retryingFor: Self.addPatience) { [limits] connection in
                do {
                    // Two ways there and back: the others wait for no more than the second one.
                    let answers = try connection.run([
                        PostgresStatement("BEGIN"), Self.lock,
                        PostgresStatement(
                            "SELECT \(Self.columns) FROM ouroboros.downlink WHERE request = $1", [request]),
                        Self.load(of: device), Self.load(of: nil),
                    ])
                    if let found = try answers[2].rows(of: "downlink").first.map(Self.entry) {
                        connection.rollBack()
                        return found
                    }
                    try limits.check(
                        bytes: payload.count, of: device, own: Self.load(answers[3]),
                        all: Self.load(answers[4]))
                    let added = try connection.run([
                        PostgresStatement(
                            """
                            INSERT INTO ouroboros.downlink
                                (request, device, queued_at, expires_at, state, payload)
                            VALUES ($1, $2, $3, $4, 'queued', $5) RETURNING \(Self.columns)
                            """,
                            [
                                request, device.value, .integer(now), .integer(expiresAt),
                                .bytes(Data(payload)),
                            ]
                        ),
                        RegistryMessage.telling([.queued(device)]), PostgresStatement("COMMIT"),
                    ])[0].rows(of: "downlink").first.map(Self.entry)
                    guard let added else {
                        throw OuroborosError(.storage, "the registry did not keep a message to a device")
                    }
                    return added
                } catch {
                    connection.rollBack()
                    throw error
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
            ).rows(of: "downlink").first.map(Self.entry)
        }
    }

    public func pending(among ids: [Int64]) async throws -> Set<Int64> {
        try await store.database.run { connection in
            let rows = try connection.query(
                "SELECT id FROM ouroboros.downlink WHERE id = ANY($1) AND ended_at IS NULL", [.integers(ids)]
            ).rows(of: "downlink")
            return Set(try rows.map { try $0.integer(0) })
        }
    }

    public func load() async throws -> SpoolLoad {
        try await store.database.run { try Self.load($0.run([Self.load(of: nil)])[0]) }
    }

    /// Of one device, or of all.
    private static func load(of device: DeviceID?) -> PostgresStatement {
        PostgresStatement(
            """
            SELECT count(*), coalesce(sum(length(payload)), 0)::bigint FROM ouroboros.downlink
            WHERE ended_at IS NULL AND ($1::bytea IS NULL OR device = $1)
            """, [device?.value ?? .null])
    }

    private static func load(_ answer: PostgresAnswer) throws -> SpoolLoad {
        let row = answer.rows(of: "downlink").first
        return SpoolLoad(messages: try row?.number(0) ?? 0, bytes: try row?.number(1) ?? 0)
    }

    // MARK: What grew old

    /// What a gateway has under way long after its time is over may have arrived: that gateway does not come back.
    public func expire(now: Int64) async throws -> [Int64: DownlinkState] {
        try await store.database.run { [self] connection in
            try connection.transaction {
                let answers = try connection.run([
                    Self.lock,
                    Self.end(.queued, as: .failed, DownlinkEntry.neverThere, old: now, now),
                    Self.end(
                        .sending, as: .unknown, DownlinkEntry.gatewayEnded, old: now - Self.grace, now),
                    PostgresStatement(
                        "DELETE FROM ouroboros.downlink WHERE ended_at <= $1",
                        [.integer(now - limits.memory)]),
                ])
                var fates: [Int64: DownlinkState] = [:]
                for (answer, fate) in [(answers[1], DownlinkState.failed), (answers[2], .unknown)] {
                    try tell(answer, connection)
                    for row in answer.rows(of: "downlink") {
                        fates[try row.integer(0)] = fate
                    }
                }
                return fates
            }
        }
    }

    public func firstExpiry() async throws -> Int64? {
        try await store.database.run { connection in
            try connection.query(
                "SELECT min(expires_at) FROM ouroboros.downlink WHERE ended_at IS NULL AND state = 'queued'"
            ).rows(of: "downlink").first?.optionalInteger(0)
        }
    }

    private static func end(
        _ state: DownlinkState, as outcome: DownlinkState, _ reason: String, old: Int64, _ now: Int64
    ) -> PostgresStatement {
        PostgresStatement(
            """
            UPDATE ouroboros.downlink SET state = $1, reason = $2, ended_at = $3, payload = ''
            WHERE ended_at IS NULL AND state = $4 AND expires_at <= $5 RETURNING id, device
            """,
            [
                .text(outcome.rawValue), .text(reason), .integer(now), .text(state.rawValue),
                .integer(old),
            ])
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
