import Hummingbird
import Logging
import NIOCore
import Ouroboros
import OuroborosNIO
import Synchronization

/// A small HTTP server for the gateway's own machine or a private network: there is no TLS.
package struct LocalServer: Sendable {
    /// What it serves, for the log and for errors.
    package let name: String
    package let host: String
    package let port: Int
    private let names: [String]
    private let logger: Logger

    /// Whoever asks may call it by its address, by `host` and by `names`.
    package init(name: String, host: String, port: Int, names: [String] = [], logger: Logger) {
        self.name = name
        self.names = names
        self.host = host
        self.port = port
        self.logger = logger
    }

    /// One whose routes are this server's, GET's for HEAD too.
    package func router() -> Router<BasicRequestContext> {
        let router = Router(options: .autoGenerateHeadEndpoints)
        router.add(middleware: OwnHost(names: names + [host]))
        return router
    }

    /// Serves until the task is cancelled or the program shuts down.
    package func run(_ router: Router<BasicRequestContext>) async throws {
        // What Hummingbird has to tell is not the gateway's log.
        var quiet = logger
        quiet.logLevel = .critical
        let (logger, name, host) = (logger, name, host)
        let shortage = Mutex(Telling<String>())
        let application = Application(
            router: router,
            // A client that stalls, or many of them, must not take what devices need.
            server: .http1(configuration: .init(idleTimeout: .seconds(30))),
            configuration: .init(
                address: .hostname(host, port: port),
                availableConnectionsDelegate: .maximum(64, logger: quiet)),
            onServerRunning: { channel in
                try? await channel.eventLoop.submit {
                    let pause = AcceptPause { error in
                        guard shortage.withLock({ $0.isDue(name) }) else { return }
                        logger.warning("\(name): \(AcceptPause.text(error))")
                    }
                    try channel.pipeline.syncOperations.addHandler(pause, position: .first)
                }.get()
                logger.info("\(name) on \(host) port \(channel.localAddress?.port ?? 0)")
            },
            logger: quiet)
        try await application.run()
    }
}
