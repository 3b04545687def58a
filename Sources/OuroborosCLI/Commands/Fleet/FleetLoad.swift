import Ouroboros
import OuroborosNIO
import OuroborosTesting
import ServiceLifecycle
import Synchronization

/// Many devices in this process, each with its own session, over a few sockets.
struct FleetLoad: Sendable {
    let server: Endpoint
    let fleetKey: SecretKey
    let firstDevice: DeviceID
    let devices: Int
    let sockets: Int
    let connectAtOnce: Int
    /// Messages a second of all devices.
    let rate: Double
    let size: Int
    let duration: Duration
    let seed: UInt32
    let client: ClientConfiguration

    /// How long what was sent last may take.
    private static let patience = Duration.seconds(10)

    /// Connects all, sends for a while, and closes; a graceful shutdown ends it early, with what was counted.
    func run() async throws -> FleetResult {
        let tally = FleetTally()
        let before = ProcessMemory.resident()
        let pools = try makePools()
        let connections = await cancelWhenGracefulShutdown { await connect(over: pools, tally) }
        let after = ProcessMemory.resident()
        if !connections.isEmpty, !Task.isShuttingDownGracefully {
            tally.delivering.start()
            await send(over: connections, tally)
            tally.delivering.stop()
        }
        await close(connections, pools, tally)
        return FleetResult(
            counts: tally.counts, deliveries: tally.delivering.histogram, seconds: tally.delivering.seconds,
            connecting: tally.connecting.histogram, connectSeconds: tally.connecting.seconds,
            residentBytes: after,
            bytesPerDevice: before.flatMap { before in
                after.flatMap { connections.isEmpty ? nil : max(0, $0 - before) / connections.count }
            })
    }

    private func makePools() throws -> [ConnectionPool] {
        try (0..<sockets).map { _ in
            var configuration = ConnectionPool.Configuration()
            configuration.client = client
            configuration.maximumConnections = devices
            return try ConnectionPool(configuration: configuration)
        }
    }

    // MARK: Connecting

    private func connect(over pools: [ConnectionPool], _ tally: FleetTally) async -> [OuroborosConnection] {
        tally.connecting.start()
        defer { tally.connecting.stop() }
        return await withTaskGroup(of: OuroborosConnection?.self) { group in
            var connections: [OuroborosConnection] = []
            for number in 0..<devices {
                guard !Task.isCancelled else { break }
                if number >= connectAtOnce, let connection = await group.next() ?? nil {
                    connections.append(connection)
                }
                group.addTask { await connect(number, over: pools[number % pools.count], tally) }
            }
            for await case let connection? in group { connections.append(connection) }
            return connections
        }
    }

    private func connect(
        _ number: Int, over pool: ConnectionPool, _ tally: FleetTally
    ) async -> OuroborosConnection? {
        let begin = tally.connecting.now
        do {
            let device = DeviceID(number: firstDevice.number &+ UInt64(number))
            let connection = try await pool.connect(
                to: server.address, credential: .fixed(device: device, fleetKey: fleetKey))
            tally.connected(since: begin)
            return connection
        } catch is CancellationError {
            return nil
        } catch {
            tally.notConnected(error)
            return nil
        }
    }

    // MARK: Sending

    private func send(over connections: [OuroborosConnection], _ tally: FleetTally) async {
        let end = tally.delivering.now + UInt64(duration / .nanoseconds(1))
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                await cancelWhenGracefulShutdown { await sendFromAll(connections, until: end, tally) }
            }
            group.addTask { await cutShort(connections) }
            await group.next()
            group.cancelAll()
        }
    }

    /// What the gateway never answers must not keep the report.
    private func cutShort(_ connections: [OuroborosConnection]) async {
        await cancelWhenGracefulShutdown { _ = try? await Task.sleep(for: duration) }
        guard (try? await Task.sleep(for: Self.patience)) != nil else { return }
        for connection in connections { await connection.closeAtOnce() }
    }

    private func sendFromAll(
        _ connections: [OuroborosConnection], until end: UInt64, _ tally: FleetTally
    ) async {
        var seeds = SeededGenerator(seed: UInt64(seed))
        await withDiscardingTaskGroup { group in
            for connection in connections {
                let own = SeededGenerator(seed: seeds.next())
                group.addTask {
                    await withTaskGroup(of: Void.self) { device in
                        // What the gateway sends is taken, or it would have to wait.
                        device.addTask { for await _ in connection.messages {} }
                        await send(over: connection, own, until: end, tally)
                        device.cancelAll()
                    }
                }
            }
        }
    }

    /// One message at a time, on average once a period; the first one somewhere in the first period.
    private func send(
        over connection: OuroborosConnection, _ generator: SeededGenerator, until end: UInt64,
        _ tally: FleetTally
    ) async {
        var generator = generator
        let payload = [UInt8](repeating: 0x61, count: size)
        let period = Double(devices) / rate * 1e9
        var due = tally.delivering.now + UInt64(.random(in: 0..<1, using: &generator) * period)
        while due < end {
            let now = tally.delivering.now
            if due > now { try? await Task.sleep(for: .nanoseconds(due - now)) }
            guard !Task.isCancelled else { return }
            // In a task that is not cancelled: a signal ends the pauses, and what was begun is waited for.
            switch await Task(operation: { try await connection.send(payload) }).result {
            case .success: tally.delivered(due: due)
            case .failure(let error):
                tally.ended(error)
                if connection.state == .closed { return }
            }
            due += UInt64(.random(in: 0.5..<1.5, using: &generator) * period)
        }
    }

    // MARK: Closing

    private func close(
        _ connections: [OuroborosConnection], _ pools: [ConnectionPool], _ tally: FleetTally
    ) async {
        for connection in connections {
            if let statistics = try? await connection.statistics() { tally.add(statistics) }
        }
        await withDiscardingTaskGroup { group in
            for pool in pools { group.addTask { await pool.close() } }
        }
    }
}
