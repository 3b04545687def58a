import CoreMetrics
import Logging
import NIOCore
import Ouroboros

/// A server's links on its event loop: a few sockets, many devices, told apart by session id or by connection.
// @unchecked: what is not a `let` of a Sendable type is touched on `loop` alone.
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
    var peers: [DeviceID: ServerPeer] = [:]
    var sessions: [UInt32: ServerPeer] = [:]
    /// Every link there is, by its number.
    var linked: [UInt64: ServerPeer] = [:]
    var statistics = ServerStatistics()
    private let roundTrip: Timer
    private var timers = TimerHeap<ServerPeer>()
    private var timer: LoopTimer?
    private var pendingDue: UInt64?
    private var sweepDue: UInt64 = 0
    private var touched: [ServerPeer] = []
    private var starved: [ServerPeer] = []
    /// Those with messages that found every place of the pool taken.
    private var withoutPlace: [ServerPeer] = []
    private var arrivals: [ReceivedMessage] = []
    private var unconfirmed = 0
    /// Those with a newer session elsewhere, the first to end first.
    private var retiring: [(due: UInt64, peer: ServerPeer)] = []
    var comparisons = RegistryComparisons()
    private var nextLink: UInt64 = 0
    private(set) var isClosing = false
    private var isEnded = false
    private let ended: EventLoopPromise<Void>

    /// Devices without a session are forgotten after so long; their allowance of handshakes is full by then.
    private static let sweepPeriod: UInt64 = 60_000
    /// As long as a session that is replaced has on one gateway (PROTOCOL.md, section 3).
    private static let drainTime: UInt64 = 60_000

    init(
        endpoints: [Endpoint], registry source: RegistrySource, configuration: ServerConfiguration,
        hub: ServerHub,
        worker: Int
    ) throws {
        guard !endpoints.isEmpty, endpoints.count <= 64 else {
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
        let now = loop.now.milliseconds
        func acceptor(forStreams isStream: Bool) throws -> Acceptor {
            var acceptor = configuration.acceptor(forStreams: isStream)
            acceptor.idPrefix = hub.numbers.prefix(ofWorker: worker)
            acceptor.idPrefixBits = hub.numbers.prefixBits
            let shared = configuration.fleet?.secret.map {
                SharedChallenges(fleetSecret: $0, wallClock: WallTime.milliseconds)
            }
            return try Acceptor(configuration: acceptor, shared: shared, now: now)
        }
        self.acceptor = try acceptor(forStreams: false)
        // What was made for one transport means nothing on the other.
        streams = ServerStreams(acceptor: try acceptor(forStreams: true))
        ended = loop.makePromise()
        timer = LoopTimer(on: loop) { [weak self] in self?.timerFired() }
        for endpoint in endpoints {
            if let network = endpoint.transport.datagramNetwork(sharesPort: configuration.workers > 1) {
                let port = network.makePort(
                    on: loop, at: endpoint.address, receiveBatch: configuration.receiveBatch)
                ports.append(ServerPort(port, endpoint, index: UInt8(ports.count), engine: self))
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
            sweepDue = now + Self.sweepPeriod
            return endpoints
        }.flatMapErrorThrowing { [self] error in
            end()
            throw error
        }
    }

    /// Waits for messages that are not confirmed, sends what is queued and CLOSE to each device, up to a limit.
    func close() -> EventLoopFuture<Void> {
        loop.flatSubmit { [self] in
            guard !isClosing, !isEnded else { return ended.futureResult }
            isClosing = true
            stopListening()
            for peer in Array(linked.values) {
                beginClose(peer)
            }
            let timeout = loop.scheduleTask(in: TimeAmount(configuration.closeTimeout)) { [self] in cutShort()
            }
            ended.futureResult.whenComplete { _ in timeout.cancel() }
            finishTurn()
            return ended.futureResult
        }
    }

    var whenOver: EventLoopFuture<Void> { ended.futureResult }

    /// One CLOSE to each device, and nobody waits for the answers.
    func closeAtOnce() {
        _ = close()
        loop.execute { [self] in cutShort() }
    }

    private func cutShort() {
        guard !isEnded else { return }
        for peer in Array(linked.values) {
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
        touch(peer)
    }

    /// CLOSE ends a session's acknowledgements: what the application still holds comes first.
    private func closeIfConfirmed(_ peer: ServerPeer) {
        guard peer.isClosing, peer.unconfirmed == 0, let link = peer.link else { return }
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

    private func end() {
        guard !isEnded else { return }
        isEnded = true
        isClosing = true
        takeHandoffs()
        for peer in Array(linked.values) {
            dropLink(of: peer)
        }
        peers.removeAll()
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
            guard let peer = linked.values.first(where: { $0.device == device && $0.sends.holds(ticket) })
            else { return }
            peer.sends.cancel(ticket, link: peer.link)
            touch(peer)
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

    private func takeHandoffs() {
        for received in confirmations.take() where received.message.isLastOfPacket {
            unconfirmed -= 1
            guard let peer = linked[received.link] else { continue }
            peer.unconfirmed -= 1
            peer.link?.done(sessionID: received.message.sessionID, counter: received.message.counter)
            updateRoom(peer)
            closeIfConfirmed(peer)
            touch(peer)
        }
        for (device, ticket) in submitted.take() {
            guard let peer = reachable(device) else {
                ticket.finish(.failure(.notConnected(device)))
                continue
            }
            peer.sends.append(ticket)
            touch(peer)
        }
    }

    /// The device's link that was heard last, over whichever transport. One that drains takes nothing more.
    func reachable(_ device: DeviceID) -> ServerPeer? {
        [peers[device], streams.devices[device]?.newest].compactMap { $0 }
            .filter { $0.link != nil && !$0.isClosing && $0.retires == nil }
            .max { $0.lastHeard < $1.lastHeard }
    }

    // MARK: Turns

    /// After packets, messages or timers: everything that was touched sends what it has.
    func finishTurn() {
        takeHandoffs()
        guard !isEnded else { return }
        handOnArrivals()
        while !touched.isEmpty {
            let turn = touched
            touched.removeAll(keepingCapacity: true)
            for peer in turn {
                peer.isTouched = false
                pump(peer)
            }
            offerPlaces()
        }
        handOnArrivals()
        flush()
        feedStarved()
        if isClosing, linked.isEmpty {
            end()
        } else {
            arm()
        }
    }

    /// A place that one device gives back is one that another may wait for.
    private func offerPlaces() {
        guard !withoutPlace.isEmpty, pool.used < pool.count else { return }
        let waiting = withoutPlace
        withoutPlace.removeAll()
        for peer in waiting {
            touch(peer)
        }
    }

    private func handOnArrivals() {
        guard !arrivals.isEmpty else { return }
        hub.inbox.append(arrivals)
        arrivals.removeAll(keepingCapacity: true)
    }

    func touch(_ peer: ServerPeer) {
        guard !peer.isTouched else { return }
        peer.isTouched = true
        touched.append(peer)
    }

    private func arm() {
        let sweep = peers.isEmpty && streams.devices.isEmpty ? nil : sweepDue
        let due = [timers.first?.deadline, pendingDue, sweep, streams.due, retiring.first?.due]
            .compactMap { $0 }.min()
        timer?.arm(at: due, now: now)
    }

    private func timerFired() {
        timer?.fired()
        let now = now
        while let peer = timers.first, peer.deadline <= now {
            timers.remove(peer)
            peer.link?.tick(now: now)
            if let stream = peer.stream, peer.link?.isStreamBroken == true {
                breakStream(stream)
            } else {
                touch(peer)
            }
        }
        tendStreams(now)
        endRetired(now)
        if let pendingDue, pendingDue <= now {
            tickAcceptor(now)
        }
        if sweepDue <= now {
            sweep(now)
        }
        finishTurn()
    }

    func tickAcceptor(_ now: UInt64) {
        pendingDue = [acceptor.tick(now: now), streams.acceptor.tick(now: now)].compactMap { $0 }.min()
    }

    private func sweep(_ now: UInt64) {
        sweepDue = now + Self.sweepPeriod
        registry.forgetSaves()
        compareNext()
        for peer in Array(peers.values)
        where peer.link == nil && !peer.accepted.hasPendingSessions
            && now - peer.lastHeard >= Self.sweepPeriod
        {
            peers[peer.device] = nil
        }
        for device in Array(streams.devices.values)
        where device.peers.isEmpty && !device.accepted.hasPendingSessions
            && now - device.lastHeard >= Self.sweepPeriod
        {
            streams.devices[device.id] = nil
        }
    }

    /// A newer session of the device was confirmed elsewhere: what is here has a minute to end.
    func retire(_ session: ConfirmedSession) {
        guard !isEnded else { return }
        let peer = peers[session.device]
        let device = streams.devices[session.device]
        // One that was told late is older than what is here. A fixed credential stays at epoch 0.
        let known = [peer?.accepted.epoch, device?.accepted.epoch].compactMap(\.self).max() ?? 0
        guard session.epoch >= known else { return }
        if let peer {
            acceptor.dropPending(of: peer.accepted)
        }
        if let device {
            streams.acceptor.dropPending(of: device.accepted)
        }
        let due = now + Self.drainTime
        for peer in links(of: session.device) where peer.link != nil && peer.retires == nil {
            peer.retires = due
            retiring.append((due, peer))
        }
        finishTurn()
    }

    func endRetired(_ now: UInt64) {
        while let (due, peer) = retiring.first, due <= now {
            retiring.removeFirst()
            if peer.retires == due {
                dropLink(of: peer)
            }
        }
    }

    // MARK: Links

    /// Lets a link send, tell and take until it has nothing more to do.
    private func pump(_ peer: ServerPeer) {
        guard let link = peer.link else { return }
        let now = now
        do {
            var isBusy = true
            while isBusy {
                isBusy = false
                while peer.stream?.isWritable ?? true, try link.transmit(now: now, { write($0, $1, peer) }) {
                    isBusy = true
                }
                isBusy = try drain(peer, link) || isBusy
                isBusy = peer.sends.admit(to: link, now: now) || isBusy
            }
        } catch {
            logger?.error("a link ends: \(error)", metadata: ["device": "\(peer.device)"])
            dropLink(of: peer)
            return
        }
        if peer.sends.hasWaiting, pool.used == pool.count {
            withoutPlace.append(peer)
        }
        peer.stream?.flush()
        noteSessions(of: peer, link)
        if peer.sessions.isEmpty {
            dropLink(of: peer)
        } else {
            timers.set(peer, to: link.deadline(now: now))
        }
    }

    private func write(_ packet: UnsafeRawBufferPointer, _ address: PeerAddress?, _ peer: ServerPeer) {
        if let stream = peer.stream {
            stream.write(packet)
            return
        }
        guard let address else { return }
        guard address.entry == 0 else {
            hub.answer(packet, to: address)
            return
        }
        guard let destination = peer.socketAddress(of: address) else { return }
        let index = Int(address.socket)
        if ports.indices.contains(index) {
            ports[index].port.write(packet, to: destination)
        }
    }

    func flush() {
        for port in ports {
            port.port.flush()
        }
    }

    func transmitPong(_ peer: ServerPeer, _ link: Link) throws {
        guard peer.stream?.isWritable ?? true else { return }
        _ = try link.transmitPong(now: now) { write($0, $1, peer) }
    }

    /// The table of sessions follows what the link holds.
    func noteSessions(of peer: ServerPeer, _ link: Link) {
        let held = link.sessionIDs
        guard held != peer.sessions else { return }
        // A stream's packets are its own: no datagram finds its session here.
        if peer.stream == nil {
            for id in peer.sessions where !held.contains(id) {
                sessions[id] = nil
            }
            for id in held {
                sessions[id] = peer
            }
        }
        peer.sessions = held
    }

    func makeLink(for peer: ServerPeer) throws(OuroborosError) -> Link {
        if let link = peer.link {
            return link
        }
        if linked.count >= configuration.maximumDevices,
            let longestSilent = linked.values.min(by: { $0.lastHeard < $1.lastHeard })
        {
            statistics.displacedDevices += 1
            dropLink(of: longestSilent)
        }
        let settings = peer.stream == nil ? configuration.link : configuration.link.overStream
        let link = try Link(serverWith: pool, configuration: settings)
        nextLink += 1
        peer.link = link
        peer.linkNumber = nextLink
        linked[nextLink] = peer
        peer.isClosing = false
        peer.retires = nil
        peer.room = -1
        updateRoom(peer)
        return link
    }

    func dropLink(of peer: ServerPeer) {
        guard let link = peer.link else { return }
        statistics.links.add(link.statistics)
        peer.link = nil
        linked[peer.linkNumber] = nil
        if peer.stream == nil {
            for id in peer.sessions {
                sessions[id] = nil
            }
        }
        peer.sessions = []
        // What the application holds of it is confirmed later, and counts for the whole server alone.
        peer.unconfirmed = 0
        peer.sends.finishAll()
        timers.remove(peer)
        if let stream = peer.stream {
            forget(stream)
        }
        let device = peer.device
        if peers[device]?.link == nil, streams.devices[device]?.peers.isEmpty ?? true {
            hub.disconnected(device, by: worker)
            hub.events.send(.disconnected(device))
        }
    }

    // MARK: Events and room

    func drain(_ peer: ServerPeer, _ link: Link) throws -> Bool {
        var any = false
        while let event = try link.nextEvent() {
            any = true
            handle(event, peer, link)
        }
        return any
    }

    private func handle(_ event: LinkEvent, _ peer: ServerPeer, _ link: Link) {
        let device = peer.device
        switch event {
        case .message(let message):
            statistics.messages += 1
            statistics.messageBytes += UInt64(message.payload.count)
            if message.isLastOfPacket {
                peer.unconfirmed += 1
                unconfirmed += 1
                updateRoom(peer)
            }
            arrivals.append(
                ReceivedMessage(
                    device: device, message: message, worker: worker, link: peer.linkNumber))
        case .delivered(let id):
            roundTrip.recordMilliseconds(link.roundTripMilliseconds)
            peer.sends.finish(id, .success(()))
        case .sent(let id): peer.sends.finish(id, .success(()))
        case .unknown(let id): peer.sends.finish(id, .failure(.unknownOutcome))
        case .failed(let id): peer.sends.finish(id, .failure(.neverSent))
        case .established(let session): hub.events.send(.connected(device, sessionID: session))
        case .closed(let reason, let byPeer, let missing):
            hub.events.send(.closed(device, reason, byDevice: byPeer, missing: missing))
        case .dead: hub.events.send(.silent(device))
        case .alive: hub.events.send(.heardAgain(device))
        case .epochMoved, .pong: break
        }
    }

    func updateRoom(_ peer: ServerPeer) {
        let all = configuration.queueCapacity - unconfirmed
        let own = configuration.queuePerDevice - peer.unconfirmed
        if let stream = peer.stream {
            // What the device may have in flight still fits: only more than that stops reading.
            stream.isFull = own < 0 || (all <= 0 && peer.unconfirmed > 0)
        }
        let room = peer.isClosing ? 0 : max(0, min(all, own))
        if room == 0, own > 0, !peer.isClosing, !peer.isStarved {
            peer.isStarved = true
            starved.append(peer)
        }
        if room != peer.room {
            peer.room = room
            peer.link?.setRoom(free: room, capacity: configuration.queuePerDevice)
        }
    }

    /// Those whose room was taken by others hear that there is some again.
    private func feedStarved() {
        guard !starved.isEmpty, unconfirmed * 2 <= configuration.queueCapacity else { return }
        let hungry = starved
        starved.removeAll()
        for peer in hungry {
            peer.isStarved = false
            updateRoom(peer)
            pump(peer)
        }
        flush()
    }

    var currentStatistics: ServerStatistics {
        var result = statistics
        for link in linked.values.compactMap(\.link) {
            result.links.add(link.statistics)
        }
        result.devices = Set(linked.values.map(\.device)).count
        result.sessions = linked.values.reduce(0) { $0 + $1.sessions.count }
        result.streams = streams.connections.count
        result.pendingSessions = acceptor.pendingCount + streams.acceptor.pendingCount
        result.unconfirmed = unconfirmed
        result.placesUsed = pool.used
        result.overflowed = passed.overflowed
        return result
    }
}

extension OuroborosError {
    static func notConnected(_ device: DeviceID) -> OuroborosError {
        OuroborosError(.notConnected, "device \(device) is not connected now")
    }
}

extension ServerEngine {
    func receive(
        _ packet: UnsafeMutableRawBufferPointer, from address: SocketAddress, over port: ServerPort
    ) {
        let now = now
        let id = Packet.sessionID(of: UnsafeRawBufferPointer(packet))
        guard id != 0 else {
            receiveHello(packet, from: address, over: port, now: now)
            return
        }
        let source = PeerAddress(address, socket: port.index)
        if sessions[id] == nil,
            hub.passOn(UnsafeRawBufferPointer(packet), sessionID: id, from: source, by: worker)
        {
            statistics.passedOn += 1
            return
        }
        receive(packet, sessionID: id, from: source, now)
    }

    /// A packet of a session that is this worker's, if there is one.
    func receive(
        _ packet: UnsafeMutableRawBufferPointer, sessionID id: UInt32, from address: PeerAddress,
        _ now: UInt64
    ) {
        if let peer = sessions[id], let link = peer.link {
            receive(packet, from: address, peer, link, now)
        } else {
            receiveFirst(packet, sessionID: id, from: address, now: now)
        }
    }

    private func receive(
        _ packet: UnsafeMutableRawBufferPointer, from address: PeerAddress, _ peer: ServerPeer,
        _ link: Link, _ now: UInt64
    ) {
        // Its epoch is being made durable: until then it takes no more, and the device sends it again.
        guard !registry.saving.contains(peer.device) else {
            count(.limit)
            return
        }
        switch link.receive(packet, from: address, now: now) {
        case .taken: peer.lastHeard = now
        // The link counts its drops itself.
        case .dropped: break
        case .ended(let error): logger?.debug("\(error)", metadata: ["device": "\(peer.device)"])
        }
        settle(peer, link)
    }

    /// What an accepted packet brings is taken before the next one comes.
    func settle(_ peer: ServerPeer, _ link: Link) {
        do {
            _ = try drain(peer, link)
            try transmitPong(peer, link)
            touch(peer)
        } catch {
            logger?.error("a link ends: \(error)", metadata: ["device": "\(peer.device)"])
            dropLink(of: peer)
        }
    }

}

/// One of a server's sockets for datagrams.
// @unchecked: its state is touched on the server's event loop alone, and set before it is open.
final class ServerPort: DatagramReceiver, @unchecked Sendable {
    let port: any DatagramPort
    let index: UInt8
    private let endpoint: Endpoint
    private weak var engine: ServerEngine?

    init(_ port: any DatagramPort, _ endpoint: Endpoint, index: UInt8, engine: ServerEngine) {
        self.port = port
        self.endpoint = endpoint
        self.index = index
        self.engine = engine
    }

    func open() -> EventLoopFuture<Endpoint> {
        let endpoint = endpoint
        return port.open(for: self).map { Endpoint(endpoint.transport, $0) }
            .flatMapErrorThrowing { throw OuroborosError.cannotListen(on: endpoint, $0) }
    }

    func receive(_ packet: UnsafeMutableRawBufferPointer, from address: SocketAddress) {
        engine?.receive(packet, from: address, over: self)
    }

    func readComplete() {
        engine?.finishTurn()
    }

    func socketLost(_ error: (any Error)?) {
        engine?.logger?.warning(
            "the socket was lost and is opened anew: \(error.map { "\($0)" } ?? "no reason")")
    }
}
