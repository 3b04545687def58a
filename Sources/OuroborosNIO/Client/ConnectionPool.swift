import LibC
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
        var isClosed = false
    }

    private let configuration: Configuration
    private let socket: SharedSocket
    private let loop: any EventLoop
    private let state = Locked(State())
    private let over: EventLoopPromise<Void>

    public init(configuration: Configuration = .init()) throws {
        guard let network = configuration.transport.datagramNetwork else {
            throw OuroborosError(.invalidConfiguration, "a stream has one session: it cannot be shared")
        }
        self.configuration = configuration
        loop = configuration.client.eventLoopGroup.next()
        socket = SharedSocket(
            network, on: loop, receiveBatch: max(32, configuration.client.receiveBatch))
        over = loop.makePromise()
    }

    deinit {
        _ = loop.flatSubmit { [socket] in socket.close() }
        over.succeed()
    }

    public var counts: Counts { state.withLock(\.counts) }
    var ended: EventLoopFuture<Void> { over.futureResult }

    /// Connects over the pool's socket; the connection has to be closed.
    public func connect(
        to server: SocketAddress, credential: Credential, store: (any CredentialStore)? = nil
    ) async throws -> OuroborosConnection {
        try await connect(
            to: ServerPlace(Endpoint(configuration.transport, server)), credential: credential, store: store)
    }

    /// The same to a name, as ``OuroborosClient`` does.
    public func connect(
        to server: HostAndPort, credential: Credential, store: (any CredentialStore)? = nil
    ) async throws -> OuroborosConnection {
        try await connect(
            to: ServerPlace(configuration.transport, server, SystemLookup.shared), credential: credential,
            store: store)
    }

    func connect(
        to server: ServerPlace, credential: Credential, store: (any CredentialStore)? = nil
    ) async throws -> OuroborosConnection {
        try Task.checkCancellation()
        let device = credential.deviceID
        try admit(device)
        let engine: ClientEngine
        do {
            engine = try ClientEngine(
                carrier: SharedCarrier(socket, on: loop, to: server), on: loop, server: server,
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
        _ = try? await loop.flatSubmit { [socket] in socket.close() }.get()
        over.succeed()
    }
}
