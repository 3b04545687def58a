import CoreMetrics
import LibC
import Logging
import NIOCore
import Ouroboros
import OuroborosBuild
import OuroborosHTTP
import OuroborosMetrics
import OuroborosNIO
import OuroborosPage
import OuroborosStore
import ServiceLifecycle

/// The gateway's metrics, when they are asked for.
struct GatewayMetrics {
    let address: HostAndPort?
    let registry: PrometheusRegistry?
    private let hostNames: [String]

    init(_ address: HostAndPort?, hostNames: [String]) {
        self.address = address
        self.hostNames = hostNames
        registry = address.map { _ in PrometheusRegistry() }
    }

    /// Where everything counts; nowhere, when nobody asks.
    var factory: any MetricsFactory { registry ?? NOOPMetricsHandler.instance }

    func service(
        server: OuroborosServer, watch: StoreWatch, store: AwaitedStore?, shared: SharedRegistry?,
        outputs: GatewayOutputs, page: GatewayPage?, logger: Logger
    ) -> (any Service)? {
        guard let address, let registry else { return nil }
        for (name, help) in Array(ServerMetrics.descriptions) + GatewayOutputs.descriptions {
            registry.describe(name, help)
        }
        registry.describe("ouroboros_build_info", "The version and the commit that run; always 1.")
        Meter(
            label: "ouroboros_build_info",
            dimensions: [("version", Build.version), ("commit", Build.commit)], factory: registry
        ).set(1)
        let metrics = ServerMetrics(factory: registry)
        let registryState = shared.map { RegistryMetrics($0, registry) }
        let endpoint = MetricsEndpoint(
            host: address.host, port: address.port, names: hostNames, registry: registry, logger: logger,
            others: { page?.routes.add(to: $0) }
        ) {
            let update: Result<Void?, any Error>
            do {
                update = .success(
                    // A connection to the registry may take 5 s.
                    try await within(.seconds(8)) {
                        try await server.update(metrics)
                        // A gateway that cannot read its store serves nobody; one without its registry serves nobody anew.
                        try await store?.check()
                        try await registryState?.update()
                        try await outputs.updateMetrics()
                    })
            } catch {
                update = .failure(error)
            }
            // These know why.
            try watch.check()
            try outputs.check()
            guard try update.get() != nil else {
                throw OuroborosError(.busy, "a disk or the registry does not answer")
            }
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
        let endpoint = endpoint
        try await together(
            {
                // Those who listen would keep the server from ending.
                try await withGracefulShutdownHandler {
                    try await endpoint.run()
                } onGracefulShutdown: {
                    page.feed.end()
                }
            }, beside: ["the page's feed": { await page.feed.run() }])
    }
}

/// How the registry that gateways share is.
private final class RegistryMetrics: Sendable {
    private let shared: SharedRegistry
    private let isUp: Meter
    private let failures: Counter
    private let counted = Locked<UInt64>(0)

    init(_ shared: SharedRegistry, _ registry: PrometheusRegistry) {
        self.shared = shared
        registry.describe("ouroboros_registry_up", "Whether the registry that gateways share answers.")
        registry.describe(
            "ouroboros_registry_connection_failures_total",
            "Connections to the registry that could not be made.")
        isUp = Meter(label: "ouroboros_registry_up", factory: registry)
        failures = Counter(label: "ouroboros_registry_connection_failures_total", factory: registry)
    }

    func update() async throws {
        let result: Result<Void, any Error>
        do { result = .success(try await shared.check()) } catch { result = .failure(error) }
        isUp.set(shared.isUp ? 1 : 0)
        counted.withLock { counted in
            let all = shared.failures
            failures.increment(by: Int(all - counted))
            counted = all
        }
        try result.get()
    }
}
