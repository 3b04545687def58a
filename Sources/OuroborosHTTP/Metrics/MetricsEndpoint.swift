import Hummingbird
import Logging
import NIOCore
import Ouroboros
import OuroborosMetrics

/// `/metrics` in Prometheus text, and `/healthz`, over HTTP, beside what others add.
///
/// It is for the gateway's own machine or a private network: there is neither TLS nor a password.
package struct MetricsEndpoint: Sendable {
    private let server: LocalServer
    private let registry: PrometheusRegistry
    private let refresh: @Sendable () async throws -> Void
    private let others: @Sendable (Router<BasicRequestContext>) -> Void

    /// `refresh` brings the registry up to date; while it fails the program is not healthy. `others` adds routes.
    package init(
        host: String, port: Int, names: [String], registry: PrometheusRegistry, logger: Logger,
        others: @escaping @Sendable (Router<BasicRequestContext>) -> Void = { _ in },
        refresh: @escaping @Sendable () async throws -> Void
    ) {
        server = LocalServer(name: "metrics", host: host, port: port, names: names, logger: logger)
        self.registry = registry
        self.others = others
        self.refresh = refresh
    }

    /// Serves until the task is cancelled or the program shuts down.
    package func run() async throws {
        try await server.run(router())
    }

    private func router() -> Router<BasicRequestContext> {
        let router = server.router()
        let (registry, refresh) = (registry, refresh)
        router.get("metrics") { _, _ in
            // Values that are a moment old are better than none.
            try? await refresh()
            return Response(
                status: .ok, headers: [.contentType: PrometheusRegistry.contentType],
                body: .init(byteBuffer: ByteBuffer(string: registry.render())))
        }
        router.get("healthz") { _, _ in
            do {
                try await refresh()
                return Self.text("ok\n", .ok)
            } catch {
                let reason = (error as? OuroborosError).map { ": \($0.message)" } ?? ""
                return Self.text("not serving\(reason)\n", .serviceUnavailable)
            }
        }
        others(router)
        return router
    }

    private static func text(_ text: String, _ status: HTTPResponse.Status) -> Response {
        Response(
            status: status, headers: [.contentType: "text/plain; charset=utf-8"],
            body: .init(byteBuffer: ByteBuffer(string: text)))
    }
}
