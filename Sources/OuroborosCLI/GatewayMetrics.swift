import Logging
import NIOCore
import Ouroboros
import OuroborosMetrics
import OuroborosMetricsHTTP
import OuroborosNIO
import OuroborosStore
import ServiceLifecycle

/// The gateway's metrics, when they are asked for.
struct GatewayMetrics {
    let address: HostAndPort?
    let registry: PrometheusRegistry?

    init(_ address: HostAndPort?) {
        self.address = address
        registry = address.map { _ in PrometheusRegistry() }
    }

    func service(
        server: OuroborosServer, store: GatewayStore?, page: GatewayPage?, logger: Logger
    ) -> (any Service)? {
        guard let address, let registry else { return nil }
        for (name, help) in ServerMetrics.descriptions {
            registry.describe(name, help)
        }
        let metrics = ServerMetrics(factory: registry)
        let endpoint = MetricsEndpoint(
            host: address.host, port: address.port, registry: registry, logger: logger,
            others: { page?.routes.add(to: $0) }
        ) {
            try await server.update(metrics)
            // A gateway that cannot read its store serves nobody.
            _ = try store?.changeToken()
        }
        return MetricsService(endpoint: endpoint, page: page, address: address)
    }
}

private struct MetricsService: Service {
    let endpoint: MetricsEndpoint
    let page: GatewayPage?
    let address: HostAndPort

    func run() async throws {
        do {
            try await serve()
        } catch let error as IOError {
            throw OuroborosError(.transport, "cannot serve metrics on \(address): \(error)")
        }
    }

    private func serve() async throws {
        guard let page else { return try await endpoint.run() }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await page.feed.run() }
            // Those who listen would keep the server from ending.
            try await withGracefulShutdownHandler {
                try await endpoint.run()
            } onGracefulShutdown: {
                page.feed.end()
            }
            group.cancelAll()
        }
    }
}
