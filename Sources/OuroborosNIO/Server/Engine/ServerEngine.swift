import CoreMetrics
import Logging
import NIOCore
import Ouroboros

/// A server's links on its event loop: a few sockets, many devices, told apart by session id or by connection.
// @unchecked: what is not a `let` of a Sendable type is touched on `loop` alone: tasks and other workers come through
// handoffs and calls that hop to it, sockets call on it.
final class ServerEngine: @unchecked Sendable {
    let loop: any EventLoop
    let hub: ServerHub
    /// Which of the server's workers this is.
    let worker: Int
    let configuration: ServerConfiguration
    let registry: RegistryAccess
    let logger: Logger?
    private(set) var ports: [ServerPort] = []
    let streams: ServerStreams
    private let confirmations: Handoff<ReceivedMessage>
    private let submitted: Handoff<(DeviceID, SendTicket)>
    private let passed: PassedPackets<Void>

    let pool: PlacePool
    let acceptor: Acceptor
    var devices = DeviceTable()
    /// Pending sessions whose first packet waits for the registry, and the packets that wait with it.
    var firsts: [UInt32: WaitingFirst] = [:]
    var held: HeldPackets
    var room: ReceiveRoom<ServerPeer>
    var agenda = Agenda()
    var comparisons = RegistryComparisons()
    /// Devices of which it is told when they are heard next.
    var awaited: Set<DeviceID> = []
    /// What came in this turn, for the application.
    var arrivals: [ReceivedMessage] = []
    var statistics = ServerStatistics()
    let roundTrip: Timer
    private(set) var timer: LoopTimer?
    private var phase = Phase.open
    private let ended: EventLoopPromise<Void>

    private enum Phase {
        case open, closing, ended
    }

    private static let mostHeld = 4096

    init(
        endpoints: [Endpoint], registry source: RegistrySource, configuration: ServerConfiguration,
        hub: ServerHub,
        worker: Int
    ) throws {
        guard !endpoints.isEmpty, endpoints.count <= ServerWays.mostSockets else {
            throw OuroborosError(.invalidConfiguration, "a server listens on 1 to 64 addresses")
        }
        self.hub = hub
        self.worker = worker
        self.configuration = configuration
        logger = configuration.logger
        loop = configuration.eventLoopGroup.next()
        registry = source.access(on: loop)
        confirmations = Handoff(to: loop)
        submitted = Handoff(to: loop)
        passed = PassedPackets(to: loop)
        roundTrip = .roundTrip(configuration.metrics)
        pool = try PlacePool(places: configuration.places)
        room = ReceiveRoom(ofAll: configuration.queueCapacity, ofOne: configuration.queuePerDevice)
        held = HeldPackets(ofAll: Self.mostHeld, ofOne: configuration.link.reach)
        let now = loop.now.milliseconds
        func acceptor(forStreams isStream: Bool) throws -> Acceptor {
            var acceptor = configuration.acceptor(forStreams: isStream)
            acceptor.idPrefix = hub.numbers.prefix(ofWorker: worker)
            acceptor.idPrefixBits = hub.numbers.prefixBits
            let fleet = configuration.fleet
            let shared = fleet?.secret.map {
                SharedChallenges(
                    fleetSecret: $0, secondSecret: fleet?.secondSecret, wallClock: WallTime.milliseconds)
            }
            return try Acceptor(configuration: acceptor, shared: shared, now: now)
        }
        self.acceptor = try acceptor(forStreams: false)
        // What was made for one transport means nothing on the other.
        streams = ServerStreams(acceptor: try acceptor(forStreams: true))
        ended = loop.makePromise()
        timer = LoopTimer(on: loop) { [weak self] in self?.timerFired() }
        registry.whenSaved = { [weak self] device in self?.takeHeld(of: device) }
        for endpoint in endpoints {
            var options: DatagramSocket.Options = .answers
            if configuration.workers > 1 { options.insert(.sharesPort) }
            if endpoint.leavesIPv4(to: endpoints) { options.insert(.onlyIPv6) }
            if let network = endpoint.transport.datagramNetwork(options) {
                let port = network.makePort(
                    on: loop, at: endpoint.address, receiveBatch: configuration.receiveBatch)
                ports.append(ServerPort(port, endpoint, index: ports.count, engine: self))
            } else {
                streams.endpoints.append(endpoint)
            }
        }
    }

    var now: UInt64 { loop.now.milliseconds }

    // MARK: Life

    /// Opens everything, and gives the addresses: those of datagrams first.
    func open() -> EventLoopFuture<[Endpoint]> {
        let opened = ports.map { $0.open() } + streams.endpoints.map(listen)
        return EventLoopFuture.whenAllSucceed(opened, on: loop).map { [self] endpoints in
            planSweep(now)
            return endpoints
        }.flatMapErrorThrowing { [self] error in
            end()
            throw error
        }
    }

    /// Waits for messages that are not confirmed, sends what is queued and CLOSE to each device, up to a limit.
    func close() -> EventLoopFuture<Void> {
        loop.flatSubmit { [self] in
            guard !isClosing else { return ended.futureResult }
            phase = .closing
            stopListening()
            for peer in Array(devices.linked.values) {
                beginClose(peer)
            }
            let limit = TimeAmount(configuration.closeTimeout)
            let timeout = loop.scheduleTask(in: limit) { [self] in cutShort() }
            ended.futureResult.whenComplete { _ in timeout.cancel() }
            finishTurn()
            return ended.futureResult
        }
    }

    var whenOver: EventLoopFuture<Void> { ended.futureResult }
    var isClosing: Bool { phase != .open }
    var isEnded: Bool { phase == .ended }

    /// One CLOSE to each device, and nobody waits for the answers.
    func closeAtOnce() {
        _ = close()
        loop.execute { [self] in cutShort() }
    }

    private func cutShort() {
        guard !isEnded else { return }
        for peer in Array(devices.linked.values) {
            try? peer.link?.close(reason: .shutdown, atOnce: true, now: now)
            pump(peer)
        }
        flush()
        end()
    }

    func beginClose(_ peer: ServerPeer) {
        peer.isClosing = true
        updateRoom(peer)
        closeIfConfirmed(peer)
        agenda.touch(peer)
    }

    /// CLOSE ends a session's acknowledgements: what the application still holds comes first.
    private func closeIfConfirmed(_ peer: ServerPeer) {
        guard peer.isClosing, peer.share.unconfirmed == 0, let link = peer.link else { return }
        guard link.isOpen else {
            // The device has left: what remains is a replaced session that would wait for its packets.
            dropLink(of: peer)
            return
        }
        do {
            try link.close(reason: .shutdown, atOnce: false, now: now)
        } catch {
            logger?.debug("closing: \(error)", metadata: ["device": "\(peer.device)"])
        }
    }

    func end() {
        guard !isEnded else { return }
        phase = .ended
        takeHandoffs()
        for peer in Array(devices.linked.values) {
            dropLink(of: peer)
        }
        devices.removeAll()
        timer?.cancel()
        timer = nil
        hub.workerEnded()
        let closed = ports.map { $0.port.close() } + endStreams()
        EventLoopFuture.whenAllComplete(closed, on: loop).whenComplete { [ended] _ in ended.succeed() }
    }

    // MARK: From tasks

    func confirm(_ messages: [ReceivedMessage]) {
        confirmations.put(contentsOf: messages) { [self] in finishTurn() }
    }

    func submit(_ ticket: SendTicket, to device: DeviceID) {
        submitted.put((device, ticket)) { [self] in finishTurn() }
    }

    func cancel(_ ticket: SendTicket, to device: DeviceID) {
        loop.execute { [self] in
            takeHandoffs()
            guard
                let peer = devices.linked.values.first(where: {
                    $0.device == device && $0.sends.holds(ticket)
                })
            else { return }
            peer.sends.cancel(ticket, link: peer.link)
            agenda.touch(peer)
            finishTurn()
        }
    }

    /// A packet that landed elsewhere; from any loop.
    func take(_ packet: UnsafeRawBufferPointer, from address: PeerAddress) {
        passed.put(packet, address, ()) { [self] in takePassed() }
    }

    private func takePassed() {
        guard !isEnded else { return }
        for packet in passed.take() {
            var bytes = packet.bytes
            bytes.withUnsafeMutableBytes { bytes in
                let id = Packet.sessionID(of: UnsafeRawBufferPointer(bytes))
                receive(bytes, sessionID: id, from: packet.address, now)
            }
        }
        finishTurn()
    }

    func takeHandoffs() {
        for received in confirmations.take() where received.message.isLastOfPacket {
            let peer = devices.linked[received.link]
            room.giveBack(for: peer)
            guard let peer else { continue }
            peer.link?.done(sessionID: received.message.sessionID, counter: received.message.counter)
            updateRoom(peer)
            closeIfConfirmed(peer)
            agenda.touch(peer)
        }
        for (device, ticket) in submitted.take() {
            guard let peer = reachable(device) else {
                ticket.finish(.failure(.notConnected(device)))
                continue
            }
            peer.sends.append(ticket)
            agenda.touch(peer)
        }
    }

    var currentStatistics: ServerStatistics {
        var result = statistics
        for link in devices.linked.values.compactMap(\.link) {
            result.links.add(link.statistics)
        }
        result.devices = Set(devices.linked.values.map(\.device)).count
        result.sessions = devices.linked.values.reduce(0) { $0 + $1.sessions.count }
        result.streams = streams.connections.count
        result.pendingSessions = acceptor.pendingCount + streams.acceptor.pendingCount
        result.unconfirmed = room.unconfirmed
        result.placesUsed = pool.used
        result.overflowed = passed.overflowed
        return result
    }
}
