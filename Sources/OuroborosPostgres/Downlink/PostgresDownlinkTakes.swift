import LibC
import Ouroboros
import OuroborosStore

/// For the gateway that has the device.
extension PostgresDownlink {
    public func waitingDevices() async throws -> Set<DeviceID> {
        try await store.database.run { [self] connection in
            try giveBackLost(connection)
            let rows = try connection.query(
                "SELECT DISTINCT device FROM ouroboros.downlink WHERE ended_at IS NULL AND state = 'queued'"
            ).rows(of: "downlink")
            return Set(try store.unreadable.readable(rows) { try $0.device(0) })
        }
    }

    /// Two gateways that take at once take different messages.
    public func take(for device: DeviceID, limit: Int, now: Int64) async throws -> [DownlinkEntry] {
        try await store.database.run { [self] connection in
            let take = Self.random()
            do {
                let rows = try connection.query(
                    """
                    WITH next AS MATERIALIZED (
                        SELECT id AS number FROM ouroboros.downlink
                        WHERE device = $1 AND ended_at IS NULL AND state = 'queued' AND expires_at > $2
                        ORDER BY id LIMIT $3 FOR UPDATE SKIP LOCKED
                    )
                    UPDATE ouroboros.downlink SET state = 'sending', gateway = $4, run = $5, take = $6
                    FROM next WHERE id = next.number RETURNING \(Self.columns)
                    """,
                    [
                        device.value, .integer(now), .integer(Int64(limit)), gateway, run, .integer(take),
                    ]
                ).rows(of: "downlink")
                let entries = try store.unreadable.readable(rows, Self.entry)
                takes.note(take, of: entries)
                return entries.sorted { $0.id < $1.id }
            } catch {
                takes.lose(take)
                throw error
            }
        }
    }

    /// What was handed out to a call whose answer was lost waits again.
    private func giveBackLost(_ connection: PostgresConnection) throws {
        let lost = takes.lost()
        guard !lost.isEmpty else { return }
        try connection.query(
            """
            UPDATE ouroboros.downlink SET state = 'queued', gateway = NULL, run = NULL, take = NULL
            WHERE ended_at IS NULL AND take = ANY($1)
            """, [.integers(lost)])
    }

    public func giveBack(_ id: Int64) async throws {
        guard let take = takes.take(of: id) else { return }
        try await store.database.run { [self] connection in
            try connection.transaction {
                let given = try connection.query(
                    """
                    UPDATE ouroboros.downlink SET state = 'queued', gateway = NULL, run = NULL, take = NULL
                    WHERE id = $1 AND take = $2 AND ended_at IS NULL RETURNING device
                    """, [.integer(id), .integer(take)])
                let devices = try store.unreadable.readable(given.rows(of: "downlink")) {
                    try $0.device(0)
                }
                try RegistryMessage.send(devices.map(RegistryMessage.queued), on: connection)
            }
        }
        takes.forget(take, of: id)
    }

    /// A compare-and-set. Where the answer to it is lost it is asked again: the row says whose outcome it has.
    public func finish(
        _ id: Int64, as outcome: DownlinkState, reason: String?, now: Int64
    ) async throws -> Bool {
        guard let take = takes.take(of: id) else { return false }
        let isWritten = try await store.database.run { [self] connection in
            try connection.transaction {
                let ended = try connection.query(
                    """
                    UPDATE ouroboros.downlink SET state = $3, reason = $4, ended_at = $5, payload = ''
                    WHERE id = $1 AND take = $2 AND state IN ('sending', $3) RETURNING id, device
                    """,
                    [
                        .integer(id), .integer(take), .text(outcome.rawValue),
                        reason.map(PostgresValue.text) ?? .null, .integer(now),
                    ])
                try tell(ended, connection)
                return ended.changed == 1
            }
        }
        takes.forget(take, of: id)
        return isWritten
    }
}

/// The calls of this gateway that messages were handed out to.
final class DownlinkTakes: Sendable {
    private struct State {
        var takes: [Int64: Int64] = [:]
        /// Those whose answer was lost, and when: what they were handed out was never sent.
        var lost: [Int64: ContinuousClock.Instant] = [:]
    }

    private let state = Locked(State())

    /// How long a database that is slow may still carry out a call whose answer was lost.
    private static let lostTime = Duration.seconds(600)

    func note(_ take: Int64, of entries: [DownlinkEntry]) {
        state.withLock { state in
            for entry in entries { state.takes[entry.id] = take }
        }
    }

    func take(of message: Int64) -> Int64? {
        state.withLock { $0.takes[message] }
    }

    func forget(_ take: Int64, of message: Int64) {
        state.withLock { state in
            if state.takes[message] == take { state.takes[message] = nil }
        }
    }

    func lose(_ take: Int64) {
        state.withLock { $0.lost[take] = .now }
    }

    func lost() -> [Int64] {
        state.withLock { state in
            state.lost = state.lost.filter { .now - $0.value < Self.lostTime }
            return Array(state.lost.keys)
        }
    }
}
