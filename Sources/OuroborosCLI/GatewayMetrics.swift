import CoreMetrics
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

    /// Where everything counts; nowhere, when nobody asks.
    var factory: any MetricsFactory { registry ?? NOOPMetricsHandler.instance }

    func service(
        server: OuroborosServer, store: GatewayStore?, outputs: GatewayOutputs, logger: Logger
    ) -> (any Service)? {
        guard let address, let registry else { return nil }
        for (name, help) in Array(ServerMetrics.descriptions) + GatewayOutputs.descriptions {
            registry.describe(name, help)
        }
        let metrics = ServerMetrics(factory: registry)
        let endpoint = MetricsEndpoint(
            host: address.host, port: address.port, registry: registry, logger: logger
        ) {
            try await server.update(metrics)
            // A gateway that cannot read its store serves nobody.
            _ = try store?.changeToken()
            try await outputs.updateMetrics()
        }
        return MetricsService(endpoint: endpoint, address: address)
    }
}

private struct MetricsService: Service {
    let endpoint: MetricsEndpoint
    let address: HostAndPort

    func run() async throws {
        do {
            try await endpoint.run()
        } catch let error as IOError {
            throw OuroborosError(.transport, "cannot serve metrics on \(address): \(error)")
        }
    }
}
