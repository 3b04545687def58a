import Foundation
import Logging
import Ouroboros
import OuroborosStore
import Synchronization

/// The devices of a store for a gateway that runs, which tells the other gateways of its sessions and hears of theirs.
public final class PostgresRegistry: SharedDeviceRegistry {
    private let store: PostgresStore
    private let logger: Logger?
    /// Sessions that the others have not been told of: the newest of each device.
    private let untold = Mutex<(sessions: [DeviceID: ConfirmedSession], isBusy: Bool)>(([:], false))

    /// How long a move is tried again: the device waits for it.
    private static let movePatience = Duration.seconds(10)

    public init(_ store: PostgresStore, logger: Logger? = nil) {
        self.store = store
        self.logger = logger
    }

    public func credential(of device: DeviceID) async throws -> Credential? {
        let store = store
        return try await store.database.run { connection in
            try connection.query(
                "SELECT \(PostgresStore.deviceColumns) FROM ouroboros.device WHERE id = $1", [device.value]
            ).rows.first.map { try store.credential($0, device: device) }
        }
    }

    /// A compare-and-set. Where the answer to it is lost it is asked again: the row says whose move it was.
    public func advance(to credential: Credential, from epoch: UInt64) async throws {
        let device = credential.deviceID
        guard credential.kind == .evolving, credential.epoch > epoch else {
            throw OuroborosError(
                .storage, "the epoch of device \(device) does not move from \(epoch) to \(credential.epoch)")
        }
        let key = try store.closed(credential)
        var generator = SystemRandomNumberGenerator()
        let move = Data((0..<16).map { _ in UInt8.random(in: .min ... .max, using: &generator) })
        let values: [PostgresValue] = [
            device.value, try PostgresStore.epoch(epoch, of: device),
            try PostgresStore.epoch(credential.epoch, of: device), .text(key.form), .bytes(key.bytes),
            .bytes(move),
        ]
        let isMoved = try await store.database.run(retryingFor: Self.movePatience) { connection in
            try connection.query(
                """
                UPDATE ouroboros.device SET epoch = $3, key_form = $4, key = $5, move = $6
                WHERE id = $1 AND kind = 'evolving' AND (epoch = $2 OR (epoch = $3 AND move = $6))
                """, values
            ).changed == 1
        }
        guard isMoved else {
            throw OuroborosError(
                .storage, "device \(device) was removed, or another gateway has moved it from epoch \(epoch)")
        }
    }

    // MARK: To the others

    public func announce(_ session: ConfirmedSession) {
        let isFirst = untold.withLock { untold in
            untold.sessions[session.device] = session
            defer { untold.isBusy = true }
            return !untold.isBusy
        }
        if isFirst {
            Task { await tell() }
        }
    }

    /// Until all are told, however long the database is away.
    private func tell() async {
        while true {
            let sessions = untold.withLock { untold in
                untold.isBusy = !untold.sessions.isEmpty
                return Array(untold.sessions.values)
            }
            guard !sessions.isEmpty else { return }
            do {
                try await store.database.run { connection in
                    for session in sessions {
                        try RegistryMessage.confirmed(session).send(on: connection)
                    }
                }
                untold.withLock { untold in
                    // A newer one is told next time.
                    for session in sessions where untold.sessions[session.device] == session {
                        untold.sessions[session.device] = nil
                    }
                }
            } catch {
                try? await Task.sleep(for: .seconds(1))
            }
        }
    }

    // MARK: From the others

    public func notices() -> AsyncStream<RegistryNotice> {
        RegistryListener.notices(of: store.database, logger: logger) { event in
            switch event {
            case .message(.confirmed(let session)): .confirmed(session)
            case .message(.changed(let device)): .changed(device)
            case .message(.queued), .message(.settled), .listening(isFirst: true): nil
            case .listening(isFirst: false): .missed
            }
        }
    }
}
