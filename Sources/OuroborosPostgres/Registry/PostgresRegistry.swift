import Foundation
import LibC
import Logging
import Ouroboros
import OuroborosStore

/// The devices of a store for a gateway that runs, which tells the other gateways of its sessions and hears of theirs.
public final class PostgresRegistry: SharedDeviceRegistry {
    private let store: PostgresStore
    private let logger: Logger?
    /// Sessions that the others have not been told of: the newest of each device.
    private let untold = Locked<(sessions: [DeviceID: ConfirmedSession], isBusy: Bool)>(([:], false))

    /// How long a move is tried again: the device waits for it.
    private static let movePatience = Duration.seconds(10)

    public init(_ store: PostgresStore, logger: Logger? = nil) {
        self.store = store
        self.logger = logger
    }

    public func device(_ id: DeviceID) async throws -> SharedDevice {
        let store = store
        return try await store.database.run { connection in
            // A device of a fleet's key has no row of its own, and may have a generation.
            let row = try connection.query(
                """
                SELECT \(PostgresStore.deviceColumns), held.number AS generation, disabled
                FROM (SELECT $1::bytea AS id) AS asked
                LEFT JOIN ouroboros.device USING (id) LEFT JOIN ouroboros.generation AS held ON held.device = id
                """, [id.value]
            ).rows(of: "device").first
            guard let row else { return SharedDevice(credential: nil, generation: 0) }
            let isDisabled = try row.optionalInteger(5) ?? 0 != 0
            let isServed = try row.optionalText(0) != nil && !isDisabled
            return SharedDevice(
                credential: isServed ? try store.credential(row, device: id) : nil,
                generation: try row.optionalNumber(4) ?? 0, isDisabled: isDisabled)
        }
    }

    private static func generation(_ number: UInt64, of device: DeviceID) throws -> PostgresValue {
        guard let generation = Int64(exactly: number) else { throw outOfRange(device) }
        return .integer(generation)
    }

    private static func outOfRange(_ device: DeviceID) -> OuroborosError {
        OuroborosError(.storage, "the generation of device \(device) is out of range")
    }

    /// A compare-and-set. Where the answer to it is lost it is asked again: the row says whose move it was.
    public func advance(to credential: Credential, from epoch: UInt64) async throws {
        let device = credential.deviceID
        guard credential.kind == .evolving, credential.epoch > epoch else {
            throw OuroborosError(
                .storage, "the epoch of device \(device) does not move from \(epoch) to \(credential.epoch)")
        }
        let key = try store.closed(credential)
        let values: [PostgresValue] = [
            device.value, .integer(try PostgresStore.epoch(epoch, of: device)),
            .integer(try PostgresStore.epoch(credential.epoch, of: device)), .text(key.form),
            .bytes(key.bytes),
            Self.newMove(),
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

    /// The same of a generation.
    public func confirm(_ device: DeviceID, from generation: UInt64) async throws -> Bool {
        let next = generation.addingReportingOverflow(1)
        guard !next.overflow else { throw Self.outOfRange(device) }
        let values = [
            device.value, try Self.generation(generation, of: device),
            try Self.generation(next.partialValue, of: device), Self.newMove(),
        ]
        return try await store.database.run(retryingFor: Self.movePatience) { connection in
            if generation == 0 {
                try connection.query(
                    "INSERT INTO ouroboros.generation VALUES ($1, 0) ON CONFLICT DO NOTHING", [device.value])
            }
            return try connection.query(
                """
                UPDATE ouroboros.generation SET number = $3, move = $4
                WHERE device = $1 AND (number = $2 OR (number = $3 AND move = $4))
                """, values
            ).changed == 1
        }
    }

    public func raise(_ device: DeviceID, to generation: UInt64) async throws {
        let values = [device.value, try Self.generation(generation, of: device)]
        try await store.database.run { connection in
            _ = try connection.query(
                """
                INSERT INTO ouroboros.generation AS held VALUES ($1, $2)
                ON CONFLICT (device) DO UPDATE SET number = $2, move = NULL WHERE held.number < $2
                """, values)
        }
    }

    /// Names a move, so that whose it was can be asked.
    private static func newMove() -> PostgresValue {
        var generator = SystemRandomNumberGenerator()
        return .bytes(Data((0..<16).map { _ in UInt8.random(in: .min ... .max, using: &generator) }))
    }

    // MARK: To the others

    public func announce(_ session: ConfirmedSession) {
        let isFirst = untold.withLock { untold in
            // Workers do not tell in order.
            if session.number >= untold.sessions[session.device]?.number ?? 0 {
                untold.sessions[session.device] = session
            }
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
                    try RegistryMessage.send(sessions.map(RegistryMessage.confirmed), on: connection)
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
            case .message(.queued), .message(.settled): nil
            case .listening: .missed
            }
        }
    }
}
