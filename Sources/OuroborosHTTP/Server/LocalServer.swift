import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import Ouroboros
import OuroborosNIO
import ServiceLifecycle

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
    ///
    /// An application of Hummingbird's would wake up each second, for the time of the answers that nobody asks for.
    package func run(_ router: Router<BasicRequestContext>) async throws {
        // What Hummingbird has to tell is not the gateway's log.
        var quiet = logger
        quiet.logLevel = .critical
        let (responder, silent) = (router.buildResponder(), quiet)
        // A client that stalls, or many of them, must not take what devices need.
        let server = try HTTPServerBuilder.http1(configuration: .init(idleTimeout: .seconds(30))).buildServer(
            configuration: ServerConfiguration(
                address: .hostname(host, port: port),
                availableConnectionsDelegate: .maximum(64, logger: silent)),
            eventLoopGroup: MultiThreadedEventLoopGroup.singleton, logger: silent,
            responder: { request, writer, channel in
                let context = BasicRequestContext(source: .init(channel: channel, logger: silent))
                var response: Response
                do {
                    response = try await responder.respond(to: request, context: context)
                } catch let error as HTTPParserError {
                    throw error
                } catch {
                    response = Response(status: .internalServerError)
                }
                response.headers[.date] = HTTPDate.now()
                try await writer.write(response: response.head, body: response.body)
            }, onServerRunning: { await running(at: $0) })
        try await server.run()
    }

    private func running(at channel: any Channel) async {
        let (logger, name) = (logger, name)
        try? await channel.eventLoop.submit {
            var telling = Telling<String>()
            let pause = AcceptPause { error in
                guard telling.isDue(name) else { return }
                logger.warning("\(name): \(AcceptPause.text(error))")
            }
            try channel.pipeline.syncOperations.addHandler(pause, position: .first)
        }.get()
        logger.info("\(name) on \(host) port \(channel.localAddress?.port ?? 0)")
    }
}
