import LibC
import NIOCore
import Ouroboros
import Testing

@testable import OuroborosNIO

/// What a gateway was brought, in order.
final class Taken: Sendable {
    private let all = Locked<[[UInt8]]>([])

    var payloads: [[UInt8]] { all.withLock(\.self) }

    /// Until the server is over.
    func read(_ server: OuroborosServer) async {
        for await batch in server.batches {
            all.withLock { $0 += batch.messages.map(\.payload) }
            batch.confirm()
        }
    }
}

/// A gateway over UDP and TCP whose registry others share, with what it was brought.
struct SharedGateway: Sendable {
    let server: OuroborosServer
    private let taken: Taken
    private let reader: Task<Void, Never>

    static func start(
        _ number: UInt8, over registry: SharedMemory, handshake: Duration = .seconds(30)
    ) async throws -> SharedGateway {
        var configuration = ServerConfiguration()
        configuration.streamHandshakeTimeout = handshake
        configuration.fleet = FleetConfiguration(gatewayNumber: number)
        let place = try SocketAddress(ipAddress: "127.0.0.1", port: 0)
        let server = try await OuroborosServer.bind(
            to: [.udp(place), .tcp(place)], sharedRegistry: registry, configuration: configuration)
        let taken = Taken()
        let reader = Task { await taken.read(server) }
        return SharedGateway(server: server, taken: taken, reader: reader)
    }

    var payloads: [[UInt8]] { taken.payloads }
    var engine: ServerEngine { get throws { try #require(server.workers.hub.workers.first) } }
    var statistics: ServerStatistics { get async throws { try await server.statistics() } }

    func onLoop<Value: Sendable>(
        _ body: @escaping @Sendable (ServerEngine) -> Value
    ) async throws -> Value {
        let engine = try engine
        return try await engine.loop.submit { body(engine) }.get()
    }

    /// When a session of the device ends that has a newer one elsewhere.
    func retirement(of device: DeviceID) async throws -> UInt64? {
        try await onLoop { $0.links(of: device).compactMap(\.retires).first }
    }

    func end() async {
        await server.close()
        await reader.value
    }
}
