import NIOCore
import Ouroboros

/// Connections to many gateways, or of many devices, over one UDP socket (one for each address family).
///
/// A connection leaves the pool when it is closed. What is over a limit is refused with the code *limit*, and
/// counted.
public final class ConnectionPool: Sendable {
    public struct Configuration: Sendable {
        /// Of each connection; `eventLoopGroup` gives the one loop of all.
        public var client = ClientConfiguration()
        /// Connections at once, of all devices and of one.
        public var maximumConnections = 1024
        public var connectionsPerDevice = 1
        /// What carries the datagrams.
        public var transport = Transport.udp

        public init() {}
    }

    public struct Counts: Sendable, Hashable {
        public var connections = 0
        /// Refused because there were too many in all, or of that device.
        public var refused: UInt64 = 0
        public var refusedForDevice: UInt64 = 0
    }

    private struct State {
        var counts = Counts()
        var perDevice: [DeviceID: Int] = [:]
        var engines: [ObjectIdentifier: ClientEngine] = [:]
        var sockets: [NIOBSDSocket.ProtocolFamily.RawValue: EventLoopFuture<SharedSocket>] = [:]
        var isClosed = false
    }

    private let configuration: Configuration
    private let network: any DatagramNetwork
    private let loop: any EventLoop
    private let state = Locked(State())
    private let over: EventLoopPromise<Void>

    public init(configuration: Configuration = .init()) throws {
        guard let network = configuration.transport.datagramNetwork else {
            throw OuroborosError(.invalidConfiguration, "a stream has one session: it cannot be shared")
        }
        self.configuration = configuration
        self.network = network
        loop = configuration.client.eventLoopGroup.next()
        over = loop.makePromise()
    }

    deinit {
        let sockets = state.withLock(\.sockets)
        for socket in sockets.values {
            socket.whenSuccess { _ = $0.close() }
        }
        over.succeed()
    }

    public var counts: Counts { state.withLock(\.counts) }
    var ended: EventLoopFuture<Void> { over.futureResult }

    /// Connects over the pool's socket; the connection has to be closed.
    public func connect(
        to server: SocketAddress, credential: Credential, store: (any CredentialStore)? = nil
    ) async throws -> OuroborosConnection {
        try Task.checkCancellation()
        let device = credential.deviceID
        try admit(device)
        let engine: ClientEngine
        do {
            let socket: SharedSocket
            do {
                socket = try await self.socket(for: server).get()
            } catch {
                forgetSocket(for: server)
                throw OuroborosError.socket(error, "opening a socket")
            }
            engine = try ClientEngine(
                carrier: SharedCarrier(socket, on: loop, server: server), on: loop, server: server,
                credential: credential, store: store, configuration: configuration.client)
        } catch {
            release(device)
            throw error
        }
        keep(engine, device)
        return try await OuroborosClient.connect(engine)
    }

    private func admit(_ device: DeviceID) throws {
        try state.withLock { state in
            guard !state.isClosed else { throw OuroborosError(.closed, "the pool is closed") }
            guard state.counts.connections < configuration.maximumConnections else {
                state.counts.refused += 1
                throw OuroborosError(
                    .limit, "the pool has its \(configuration.maximumConnections) connections already")
            }
            guard state.perDevice[device, default: 0] < configuration.connectionsPerDevice else {
                state.counts.refusedForDevice += 1
                throw OuroborosError(.limit, "device \(device) has a connection in the pool already")
            }
            state.counts.connections += 1
            state.perDevice[device, default: 0] += 1
        }
    }

    private func release(_ device: DeviceID) {
        state.withLock { state in
            state.counts.connections -= 1
            let left = state.perDevice[device, default: 1] - 1
            state.perDevice[device] = left > 0 ? left : nil
        }
    }

    private func keep(_ engine: ClientEngine, _ device: DeviceID) {
        let id = ObjectIdentifier(engine)
        state.withLock { $0.engines[id] = engine }
        engine.whenEnded { [self] in
            state.withLock { _ = $0.engines.removeValue(forKey: id) }
            release(device)
        }
    }

    private func socket(for server: SocketAddress) -> EventLoopFuture<SharedSocket> {
        state.withLock { state in
            let family = server.protocol.rawValue
            if let socket = state.sockets[family] {
                return socket
            }
            let port = network.makePort(
                on: loop, at: server.anyLocal, receiveBatch: max(32, configuration.client.receiveBatch))
            let socket = SharedSocket(port)
            let opened = socket.open().map { _ in socket }
            state.sockets[family] = opened
            return opened
        }
    }

    /// One that could not be opened is tried anew by the next connection.
    private func forgetSocket(for server: SocketAddress) {
        state.withLock { _ = $0.sockets.removeValue(forKey: server.protocol.rawValue) }
    }

    /// Closes all connections, each after what it has queued was sent and acknowledged, at the latest after
    /// ``ClientConfiguration/closeTimeout``; then the socket.
    public func close() async {
        await withTaskCancellationHandler {
            await drain(atOnce: false)
        } onCancel: {
            for engine in engines { _ = engine.close(atOnce: true) }
        }
    }

    private var engines: [ClientEngine] { state.withLock { Array($0.engines.values) } }

    private func drain(atOnce: Bool) async {
        state.withLock { $0.isClosed = true }
        let closing = engines.map { $0.close(atOnce: atOnce) }
        for future in closing {
            _ = try? await future.get()
        }
        let sockets = state.withLock { state in
            defer { state.sockets = [:] }
            return state.sockets
        }
        for socket in sockets.values {
            _ = try? await socket.flatMap { [loop] socket in loop.flatSubmit { socket.close() } }.get()
        }
        over.succeed()
    }
}
