import LibC
import NIOCore
import Ouroboros

/// A gateway's side: many devices on a few sockets.
///
/// Read ``batches`` and confirm each batch once its messages are safe: only then do the devices hear that they
/// were delivered.
public final class OuroborosServer: Sendable {
    /// Where the server listens: datagrams first, then streams.
    public let endpoints: [Endpoint]
    /// The first of them.
    public var localAddress: SocketAddress { endpoints[0].address }
    let workers: ServerWorkers

    private init(_ workers: ServerWorkers, _ endpoints: [Endpoint]) {
        self.workers = workers
        self.endpoints = endpoints
    }

    deinit {
        _ = workers.close()
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
        try await bind(to: endpoints, source: .local(registry), configuration)
    }

    /// Listens with devices that have to be awaited.
    public static func bind(
        to endpoints: [Endpoint], awaitedRegistry: any AwaitedDeviceRegistry,
        configuration: ServerConfiguration
    ) async throws -> OuroborosServer {
        try await bind(to: endpoints, source: .awaited(awaitedRegistry), configuration)
    }

    /// Listens with devices that several gateways share.
    public static func bind(
        to endpoints: [Endpoint], sharedRegistry: any SharedDeviceRegistry,
        configuration: ServerConfiguration
    ) async throws -> OuroborosServer {
        try await bind(to: endpoints, source: .shared(sharedRegistry), configuration)
    }

    private static func bind(
        to endpoints: [Endpoint], source: RegistrySource, _ configuration: ServerConfiguration
    ) async throws -> OuroborosServer {
        let workers = try ServerWorkers(source, configuration)
        return OuroborosServer(workers, try await workers.open(endpoints))
    }

    /// The same, over UDP.
    public static func bind(
        to address: SocketAddress, registry: any DeviceRegistry,
        configuration: ServerConfiguration = .init()
    ) async throws -> OuroborosServer {
        try await bind(to: [.udp(address)], registry: registry, configuration: configuration)
    }

    var ended: EventLoopFuture<Void> { workers.whenOver }

    /// What the devices sent, as it comes, for one reader. A slow one makes the devices wait.
    public var batches: Batches { Batches(hub: workers.hub) }

    public struct Batches: AsyncSequence, Sendable {
        public typealias Element = ReceivedBatch
        public typealias Failure = Never

        let hub: ServerHub

        public func makeAsyncIterator() -> Iterator {
            Iterator(hub: hub)
        }

        public struct Iterator: AsyncIteratorProtocol {
            let hub: ServerHub

            public mutating func next() async -> ReceivedBatch? {
                await next(isolation: nil)
            }

            public mutating func next(isolation actor: isolated (any Actor)?) async -> ReceivedBatch? {
                guard let messages = await hub.inbox.next() else { return nil }
                return ReceivedBatch(messages: messages, hub: hub)
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
        guard let worker = workers.hub.worker(of: device) else {
            ticket.finish(.failure(.notConnected(device)))
            return PendingMessage { try await ticket.outcome() }
        }
        worker.submit(ticket, to: device)
        return PendingMessage {
            try await withTaskCancellationHandler {
                try await ticket.outcome()
            } onCancel: {
                worker.cancel(ticket, to: device)
            }
        }
    }

    /// What becomes of the devices, from now on. All that a reader has not read is kept for it.
    public var events: AsyncStream<ServerEvent> { workers.hub.events.subscribe() }

    /// Returns once each worker had a turn.
    package func answer() async throws {
        for worker in workers.hub.workers {
            try await worker.loop.submit {}.get()
        }
    }

    public func statistics() async throws -> ServerStatistics {
        try await workers.statistics()
    }

    /// Ends the session of a device, which hears that the server shuts it down.
    public func disconnect(_ device: DeviceID) async throws {
        for worker in workers.hub.workers {
            try await worker.loop.submit { worker.disconnect(device) }.get()
        }
    }

    /// Ends what there is of devices that the registry does not know any more, or has another key for.
    public func dropUnknownDevices() async throws {
        for worker in workers.hub.workers {
            try await worker.loop.submit { try worker.dropUnknownDevices() }.get()
        }
    }

    /// Waits for what is not confirmed, says goodbye to each device, and returns when the server is over. If the
    /// task is cancelled, devices are told and nothing is waited for.
    public func close() async {
        await withTaskCancellationHandler {
            _ = try? await workers.close().get()
        } onCancel: {
            workers.closeAtOnce()
        }
    }
}

extension OuroborosError {
    package static func cannotListen(on endpoint: Endpoint, _ error: any Error) -> OuroborosError {
        if let error = error as? IOError, error.errnoCode == EADDRINUSE {
            return OuroborosError(
                .transport, "cannot listen on \(endpoint): the port is in use, by another gateway?")
        }
        if let error = error as? IOError, error.errnoCode == EADDRNOTAVAIL {
            return OuroborosError(
                .invalidAddress, "cannot listen on \(endpoint): this machine does not have the address")
        }
        return (error as? OuroborosError) ?? .socket(error, "cannot listen on \(endpoint)")
    }
}
