import NIOCore
import Ouroboros

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// A gateway's side: many devices on a few sockets.
///
/// Read ``batches`` and confirm each batch once its messages are safe: only then do the devices hear that they
/// were delivered.
public final class OuroborosServer: Sendable {
    /// Where the server listens: datagrams first, then streams.
    public let endpoints: [Endpoint]
    /// The first of them.
    public var localAddress: SocketAddress { endpoints[0].address }
    let engine: ServerEngine

    private init(_ engine: ServerEngine, _ endpoints: [Endpoint]) {
        self.engine = engine
        self.endpoints = endpoints
    }

    deinit {
        _ = engine.close()
    }

    /// Runs `body` with a server, which is closed afterwards.
    public static func withServer<Result>(
        at endpoints: [Endpoint], registry: any DeviceRegistry,
        configuration: ServerConfiguration = .init(), isolation: isolated (any Actor)? = #isolation,
        _ body: (OuroborosServer) async throws -> sending Result
    ) async throws -> sending Result {
        let server = try await bind(to: endpoints, registry: registry, configuration: configuration)
        do {
            let result = try await body(server)
            await server.close()
            return result
        } catch {
            await server.close()
            throw error
        }
    }

    /// The same, over UDP.
    public static func withServer<Result>(
        at address: SocketAddress, registry: any DeviceRegistry,
        configuration: ServerConfiguration = .init(), isolation: isolated (any Actor)? = #isolation,
        _ body: (OuroborosServer) async throws -> sending Result
    ) async throws -> sending Result {
        try await withServer(
            at: [.udp(address)], registry: registry, configuration: configuration, isolation: isolation, body)
    }

    /// Listens; the server has to be closed. Port 0 lets the system choose one.
    public static func bind(
        to endpoints: [Endpoint], registry: any DeviceRegistry,
        configuration: ServerConfiguration = .init()
    ) async throws -> OuroborosServer {
        let engine = try ServerEngine(
            endpoints: endpoints, registry: registry, configuration: configuration)
        return OuroborosServer(engine, try await engine.open().get())
    }

    /// The same, over UDP.
    public static func bind(
        to address: SocketAddress, registry: any DeviceRegistry,
        configuration: ServerConfiguration = .init()
    ) async throws -> OuroborosServer {
        try await bind(to: [.udp(address)], registry: registry, configuration: configuration)
    }

    var ended: EventLoopFuture<Void> { engine.whenOver }

    /// What the devices sent, as it comes, for one reader. A slow one makes the devices wait.
    public var batches: Batches { Batches(engine: engine) }

    public struct Batches: AsyncSequence, Sendable {
        public typealias Element = ReceivedBatch
        public typealias Failure = Never

        let engine: ServerEngine

        public func makeAsyncIterator() -> Iterator {
            Iterator(engine: engine)
        }

        public struct Iterator: AsyncIteratorProtocol {
            let engine: ServerEngine

            public mutating func next() async -> ReceivedBatch? {
                await next(isolation: nil)
            }

            public mutating func next(isolation actor: isolated (any Actor)?) async -> ReceivedBatch? {
                guard let messages = await engine.inbox.next() else { return nil }
                return ReceivedBatch(messages: messages, engine: engine)
            }
        }
    }

    /// Sends to a device that is connected, and returns when the message was delivered, or, unreliable, went
    /// out. It throws as ``OuroborosConnection/send(_:delivery:timeToLive:)`` does, and *notConnected*.
    public func send(
        _ payload: some Sequence<UInt8>, to device: DeviceID, delivery: Delivery = .reliable,
        timeToLive: Duration? = nil
    ) async throws {
        try await post(payload, to: device, delivery: delivery, timeToLive: timeToLive).delivered()
    }

    /// Hands a message over, after those handed over before it. Messages that wait for a place are kept: bound
    /// how many you post without waiting for their outcome.
    public func post(
        _ payload: some Sequence<UInt8>, to device: DeviceID, delivery: Delivery = .reliable,
        timeToLive: Duration? = nil
    ) -> PendingMessage {
        let ticket = SendTicket(
            OutgoingMessage(Array(payload), delivery: delivery, timeToLive: timeToLive?.engineTime))
        engine.submit(ticket, to: device)
        return PendingMessage { [engine] in
            try await withTaskCancellationHandler {
                try await ticket.outcome()
            } onCancel: {
                engine.cancel(ticket, to: device)
            }
        }
    }

    /// What becomes of the devices, from now on.
    public var events: AsyncStream<ServerEvent> { engine.events.subscribe() }

    public func statistics() async throws -> ServerStatistics {
        try await engine.loop.submit { [engine] in engine.currentStatistics }.get()
    }

    /// Ends the session of a device, which hears that the server shuts it down.
    public func disconnect(_ device: DeviceID) async throws {
        try await engine.loop.submit { [engine] in engine.disconnect(device) }.get()
    }

    /// Ends what there is of devices that the registry does not know any more, or has another key for.
    public func dropUnknownDevices() async throws {
        try await engine.loop.submit { [engine] in try engine.dropUnknownDevices() }.get()
    }

    /// Waits for what is not confirmed, says goodbye to each device, and returns when the server is over. If the
    /// task is cancelled, devices are told and nothing is waited for.
    public func close() async {
        await withTaskCancellationHandler {
            _ = try? await engine.close().get()
        } onCancel: {
            engine.closeAtOnce()
        }
    }
}

extension OuroborosError {
    static func cannotListen(on endpoint: Endpoint, _ error: any Error) -> OuroborosError {
        if let error = error as? IOError, error.errnoCode == EADDRINUSE {
            return OuroborosError(
                .transport, "cannot listen on \(endpoint): the port is in use, by another gateway?")
        }
        return (error as? OuroborosError) ?? .socket(error, "cannot listen on \(endpoint)")
    }
}
