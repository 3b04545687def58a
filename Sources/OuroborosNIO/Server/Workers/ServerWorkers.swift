import NIOCore
import NIOPosix
import Ouroboros

/// A server's workers from their first to their last: one, or several over sockets that share their addresses.
final class ServerWorkers: Sendable {
    let hub: ServerHub
    private let source: RegistrySource
    private let configuration: ServerConfiguration
    private let over: EventLoopPromise<Void>

    init(_ source: RegistrySource, _ configuration: ServerConfiguration) throws {
        try configuration.check()
        if case .shared = source, configuration.fleet == nil {
            throw OuroborosError(
                .invalidConfiguration, "gateways that share a registry each have a number of their own")
        }
        self.source = source
        self.configuration = configuration
        hub = ServerHub(
            numbers: SessionNumbers(
                gateway: configuration.fleet?.gatewayNumber, workers: configuration.workers))
        over = configuration.eventLoopGroup.next().makePromise()
    }

    var whenOver: EventLoopFuture<Void> { over.futureResult }

    /// Opens everything, and gives the addresses.
    func open(_ endpoints: [Endpoint]) async throws -> [Endpoint] {
        do {
            let bound = try await openWorkers(endpoints)
            try await openFleetPort()
            if case .shared(let registry) = source {
                hub.follow(registry)
            }
            return bound
        } catch {
            _ = try? await close().get()
            throw error
        }
    }

    private func openWorkers(_ endpoints: [Endpoint]) async throws -> [Endpoint] {
        if configuration.workers > 1 {
            for endpoint in endpoints {
                try await checkIsFree(endpoint)
            }
        }
        // The others have the ports that the first was given.
        var bound = endpoints
        for worker in 0..<configuration.workers {
            let engine = try ServerEngine(
                endpoints: bound, registry: source, configuration: configuration, hub: hub, worker: worker)
            hub.add(engine)
            bound = try await engine.open().get()
        }
        return bound
    }

    /// Sockets that share an address would share it with another gateway, too, and each would get half.
    private func checkIsFree(_ endpoint: Endpoint) async throws {
        let loop = configuration.eventLoopGroup.next()
        do {
            let channel =
                switch endpoint.transport {
                case .udp: try await DatagramBootstrap(group: loop).bind(to: endpoint.address).get()
                case .tcp:
                    try await ServerBootstrap(group: loop)
                        .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                        .bind(to: endpoint.address).get()
                case .datagrams:
                    throw OuroborosError(.invalidConfiguration, "only UDP and TCP serve several workers")
                }
            try await channel.close()
        } catch {
            throw OuroborosError.cannotListen(on: endpoint, error)
        }
    }

    private func openFleetPort() async throws {
        guard let fleet = configuration.fleet, let forwarding = fleet.forwarding, let secret = fleet.secret,
            let loop = hub.workers.first?.loop
        else { return }
        let port = try FleetPort(
            fleet, forwarding, secret: secret, on: loop, hub: hub, logger: configuration.logger)
        hub.add(port)
        _ = try await port.open().get()
    }

    func close() -> EventLoopFuture<Void> {
        let fleet = hub.fleet
        return end(hub.workers.map { $0.close() }, fleet)
    }

    func closeAtOnce() {
        let (workers, fleet) = (hub.workers, hub.fleet)
        for worker in workers {
            worker.closeAtOnce()
        }
        _ = end(workers.map(\.whenOver), fleet)
    }

    private func end(_ workers: [EventLoopFuture<Void>], _ fleet: FleetPort?) -> EventLoopFuture<Void> {
        let over = over
        // Answers go through other gateways until the last session has ended.
        EventLoopFuture.whenAllComplete(workers, on: over.futureResult.eventLoop)
            .flatMap { _ in fleet?.close() ?? over.futureResult.eventLoop.makeSucceededVoidFuture() }
            .whenComplete { _ in over.succeed() }
        return over.futureResult
    }

    func statistics() async throws -> ServerStatistics {
        var sum = ServerStatistics()
        for worker in hub.workers {
            sum.add(try await worker.loop.submit { worker.currentStatistics }.get())
        }
        if let fleet = hub.fleet, let loop = hub.workers.first?.loop {
            sum.forwards = try await loop.submit { fleet.statistics }.get()
        }
        return sum
    }
}
