import Logging
import NIOCore
import Ouroboros
import OuroborosNIO

/// A gateway in this process, on loopback, which takes what comes and may send it back.
enum BenchServer {
    static func with(
        isStream: Bool, fleetKey: SecretKey, clients: Int, echoes: Bool, logger: Logger,
        _ body: @Sendable @escaping (Endpoint) async throws -> BenchResult
    ) async throws -> BenchResult {
        let loopback = try SocketAddress(ipAddress: "127.0.0.1", port: 0)
        var configuration = ServerConfiguration()
        configuration.pendingSessions = max(configuration.pendingSessions, clients)
        configuration.maximumStreams = max(configuration.maximumStreams, clients)
        configuration.streamsPerAddress = configuration.maximumStreams
        configuration.logger = logger
        return try await OuroborosServer.withServer(
            at: [isStream ? .tcp(loopback) : .udp(loopback)], registry: FleetRegistry(fleetKey: fleetKey),
            configuration: configuration
        ) { server in
            try await withThrowingTaskGroup(of: BenchResult?.self) { group in
                group.addTask {
                    for await batch in server.batches {
                        batch.confirm()
                        guard echoes else { continue }
                        for message in batch.messages { _ = server.post(message.payload, to: message.device) }
                    }
                    return nil
                }
                group.addTask { try await body(server.endpoints[0]) }
                defer { group.cancelAll() }
                while let result = try await group.next() {
                    if let result { return result }
                }
                throw OuroborosError(.transport, "the server ended before the measurement")
            }
        }
    }
}
