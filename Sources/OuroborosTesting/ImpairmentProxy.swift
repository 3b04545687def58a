import NIOCore
import NIOPosix
import Ouroboros
import OuroborosNIO

/// Stands between clients and their server on real UDP sockets, and impairs what they send to each other.
///
/// ```swift
/// var configuration = ImpairmentProxy.Configuration(both: .init(loss: 0.1, delay: .milliseconds(50)))
/// configuration.seed = 7
/// let counts = try await ImpairmentProxy.withProxy(to: server.localAddress, configuration: configuration) {
///     proxy in
///     try await OuroborosClient.withConnection(to: proxy.address, credential: credential) { … }
///     return try await proxy.counts()
/// }
/// ```
///
/// Each client has a socket of its own towards the server, as behind a NAT, so that the server sees one peer a
/// client; a rebinding gives it another. The same seed decides the same of the same datagrams in the same order:
/// what chance does is repeatable, when the system delivers is not. Datagrams are cut at 1280 bytes, and an
/// Ouroboros packet has at most 1232.
public final class ImpairmentProxy: Sendable {
    public struct Configuration: Sendable {
        public var toServer: Impairment
        public var toClient: Impairment
        /// How often each client gets a new port towards the server; nil is never.
        public var rebindInterval: Duration?
        public var seed: UInt64 = 1
        /// Clients at once; one more takes the place of the one that was silent longest.
        public var maximumClients = 1024
        public var eventLoopGroup: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton

        public init(toServer: Impairment = .init(), toClient: Impairment = .init()) {
            self.toServer = toServer
            self.toClient = toClient
        }

        public init(both: Impairment) {
            self.init(toServer: both, toClient: both)
        }
    }

    /// What the proxy did.
    public struct Counts: Sendable, Hashable {
        public var toServer = ImpairmentCounts()
        public var toClient = ImpairmentCounts()
        public var clients = 0
        /// Ports towards the server that were exchanged for another.
        public var rebindings = 0
        /// Clients that lost their place to another.
        public var displaced = 0
        /// Sockets that could not be opened.
        public var failedSockets = 0
        /// Datagrams that came to a port towards the server, and not from it.
        public var strange = 0
    }

    private let engine: ProxyEngine
    /// Where clients find it.
    public let address: SocketAddress

    private init(_ engine: ProxyEngine, address: SocketAddress) {
        self.engine = engine
        self.address = address
    }

    /// Begins to listen; the proxy has to be closed. Without an address it listens at one of the loopback's.
    public static func start(
        at address: SocketAddress? = nil, to server: SocketAddress, configuration: Configuration = .init()
    ) async throws -> ImpairmentProxy {
        try configuration.check()
        let loopback = server.protocol == .inet6 ? "::1" : "127.0.0.1"
        let address = try address ?? SocketAddress(ipAddress: loopback, port: 0)
        let engine = ProxyEngine(at: address, to: server, configuration: configuration)
        do {
            return ImpairmentProxy(engine, address: try await engine.open().get())
        } catch {
            throw OuroborosError.cannotListen(on: .udp(address), error)
        }
    }

    /// Runs `body` beside a proxy.
    public static func withProxy<Result>(
        at address: SocketAddress? = nil, to server: SocketAddress, configuration: Configuration = .init(),
        isolation: isolated (any Actor)? = #isolation,
        _ body: (ImpairmentProxy) async throws -> sending Result
    ) async throws -> sending Result {
        let proxy = try await start(at: address, to: server, configuration: configuration)
        do {
            let result = try await body(proxy)
            await proxy.close()
            return result
        } catch {
            await proxy.close()
            throw error
        }
    }

    public func counts() async throws -> Counts {
        try await engine.loop.submit { [engine] in engine.counts }.get()
    }

    /// Impairs otherwise from now on; what is on the way arrives as it was to.
    public func impair(toServer: Impairment, toClient: Impairment) async throws {
        try Configuration(toServer: toServer, toClient: toClient).check()
        try await engine.loop.submit { [engine] in
            engine.impair(toServer: toServer, toClient: toClient)
        }.get()
    }

    /// Gives each client a new port towards the server. What is on its way to the old ones is lost.
    public func rebind() async throws {
        try await engine.loop.submit { [engine] in engine.rebind() }.get()
    }

    /// Sends what comes from now on to another server, from the ports that the clients have, as a balancer does that changes
    /// its mind. Who answers from elsewhere is strange, as behind a NAT. It is of the first server's address family.
    public func redirect(to server: SocketAddress) async throws {
        try await engine.loop.submit { [engine] in engine.redirect(to: server) }.get()
    }

    public func close() async {
        _ = try? await engine.close().get()
    }
}

extension ImpairmentProxy.Configuration {
    func check() throws {
        try toServer.check()
        try toClient.check()
        if let rebindInterval, rebindInterval < .milliseconds(10) {
            throw OuroborosError(
                .invalidConfiguration, "ports change every 10 ms at most, not every \(rebindInterval)")
        }
        guard maximumClients > 0 else {
            throw OuroborosError(
                .invalidConfiguration, "maximumClients is at least 1, not \(maximumClients)")
        }
    }
}

extension Impairment {
    func check() throws {
        for (share, name) in [
            (loss, "loss"), (duplication, "duplication"), (reordering, "reordering"),
            (corruption, "corruption"),
        ] where !(0...1).contains(share) {
            throw OuroborosError(.invalidConfiguration, "\(name) is a share from 0 to 1, not \(share)")
        }
        for (time, name) in [(delay, "delay"), (jitter, "jitter"), (holdBack, "holdBack")]
        where time < .zero || time > .seconds(3600) {
            throw OuroborosError(.invalidConfiguration, "\(name) is from 0 to an hour, not \(time)")
        }
        for (value, name) in [(rate ?? 1, "rate"), (queue, "queue"), (mtu ?? 1, "mtu")] where value < 1 {
            throw OuroborosError(.invalidConfiguration, "\(name) is at least 1, not \(value)")
        }
    }
}
