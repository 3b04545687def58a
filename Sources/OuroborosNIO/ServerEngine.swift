import CoreMetrics
import Logging
import NIOCore
import Ouroboros

/// A server's links on its event loop: one socket, many devices, told apart by session id.
// @unchecked: what is not a `let` of a Sendable type is touched on `loop` alone.
final class ServerEngine: @unchecked Sendable {
    let loop: any EventLoop
    let inbox = ServerInbox()
    let events = Broadcast<ServerEvent>()

    let configuration: ServerConfiguration
    let registry: any DeviceRegistry
    let logger: Logger?
    let socket: DatagramSocket
    private let confirmations: Handoff<ReceivedMessage>
    private let submitted: Handoff<(DeviceID, SendTicket)>

    let pool: PlacePool
    let acceptor: Acceptor
    var peers: [DeviceID: ServerPeer] = [:]
    var sessions: [UInt32: ServerPeer] = [:]
    var linkCount = 0
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
    private var nextLink: UInt64 = 0
    private(set) var isClosing = false
    private var isEnded = false
    private let ended: EventLoopPromise<Void>

    /// Devices without a session are forgotten after so long; their allowance of handshakes is full by then.
    private static let sweepPeriod: UInt64 = 60_000

    init(
        address: SocketAddress, registry: any DeviceRegistry, configuration: ServerConfiguration
    ) throws {
        try configuration.check()
        self.registry = registry
        self.configuration = configuration
        logger = configuration.logger
        loop = configuration.eventLoopGroup.next()
        socket = DatagramSocket(
            on: loop, localAddress: address, receiveBatch: configuration.receiveBatch)
        confirmations = Handoff(to: loop)
        submitted = Handoff(to: loop)
        roundTrip = .roundTrip(configuration.metrics)
        pool = try PlacePool(places: configuration.places)
        acceptor = try Acceptor(configuration: configuration.acceptor, now: loop.now.milliseconds)
        ended = loop.makePromise()
        timer = LoopTimer(on: loop) { [weak self] in self?.timerFired() }
    }

    var now: UInt64 { loop.now.milliseconds }

    // MARK: Life

    func open() -> EventLoopFuture<SocketAddress> {
        socket.open(for: self).map { [self] in
            sweepDue = now + Self.sweepPeriod
            return socket.localAddress
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
            for peer in peers.values where peer.link != nil {
                beginClose(peer)
            }
            let timeout = loop.scheduleTask(in: TimeAmount(configuration.closeTimeout)) { [self] in
                for peer in Array(peers.values) {
                    try? peer.link?.close(reason: .shutdown, atOnce: true, now: now)
                    pump(peer)
                }
                socket.flush()
                end()
            }
            ended.futureResult.whenComplete { _ in timeout.cancel() }
            finishTurn()
            return ended.futureResult
        }
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
        for peer in Array(peers.values) {
            dropLink(of: peer)
        }
        peers.removeAll()
        timer?.cancel()
        timer = nil
        inbox.finish()
        events.finish()
        socket.close().whenComplete { [ended] _ in ended.succeed() }
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
            guard let peer = peers[device] else { return }
            peer.sends.cancel(ticket, link: peer.link)
            touch(peer)
            finishTurn()
        }
    }

    private func takeHandoffs() {
        for received in confirmations.take() where received.message.isLastOfPacket {
            unconfirmed -= 1
            guard let peer = peers[received.device], peer.linkNumber == received.link else { continue }
            peer.unconfirmed -= 1
            peer.link?.done(sessionID: received.message.sessionID, counter: received.message.counter)
            updateRoom(peer)
            closeIfConfirmed(peer)
            touch(peer)
        }
        for (device, ticket) in submitted.take() {
            guard let peer = peers[device], peer.link != nil, !peer.isClosing else {
                ticket.finish(.failure(.notConnected(device)))
                continue
            }
            peer.sends.append(ticket)
            touch(peer)
        }
    }

    // MARK: Turns

    /// After packets, messages or timers: everything that was touched sends what it has.
    private func finishTurn() {
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
        socket.flush()
        feedStarved()
        if isClosing, linkCount == 0 {
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
        inbox.append(arrivals)
        arrivals.removeAll(keepingCapacity: true)
    }

    func touch(_ peer: ServerPeer) {
        guard !peer.isTouched else { return }
        peer.isTouched = true
        touched.append(peer)
    }

    private func arm() {
        let sweep = peers.isEmpty ? nil : sweepDue
        let due = [timers.first?.deadline, pendingDue, sweep].compactMap { $0 }.min()
        timer?.arm(at: due, now: now)
    }

    private func timerFired() {
        timer?.fired()
        let now = now
        while let peer = timers.first, peer.deadline <= now {
            timers.remove(peer)
            peer.link?.tick(now: now)
            touch(peer)
        }
        if let pendingDue, pendingDue <= now {
            tickAcceptor(now)
        }
        if sweepDue <= now {
            sweep(now)
        }
        finishTurn()
    }

    func tickAcceptor(_ now: UInt64) {
        pendingDue = acceptor.tick(now: now)
    }

    private func sweep(_ now: UInt64) {
        sweepDue = now + Self.sweepPeriod
        for peer in Array(peers.values)
        where peer.link == nil && !peer.accepted.hasPendingSessions
            && now - peer.lastHeard >= Self.sweepPeriod
        {
            peers[peer.device] = nil
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
                while try link.transmit(now: now, { write($0, $1, peer) }) {
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
        noteSessions(of: peer, link)
        if peer.sessions.isEmpty {
            dropLink(of: peer)
        } else {
            timers.set(peer, to: link.deadline(now: now))
        }
    }

    private func write(_ packet: UnsafeRawBufferPointer, _ address: PeerAddress?, _ peer: ServerPeer) {
        guard let address = address.flatMap(peer.socketAddress(of:)) else { return }
        socket.write(packet, to: address)
    }

    func transmitPong(_ peer: ServerPeer, _ link: Link) throws {
        _ = try link.transmitPong(now: now) { write($0, $1, peer) }
    }

    /// The table of sessions follows what the link holds.
    func noteSessions(of peer: ServerPeer, _ link: Link) {
        let held = link.sessionIDs
        guard held != peer.sessions else { return }
        for id in peer.sessions where !held.contains(id) {
            sessions[id] = nil
        }
        for id in held {
            sessions[id] = peer
        }
        peer.sessions = held
    }

    func makeLink(for peer: ServerPeer) throws -> Link {
        if let link = peer.link {
            return link
        }
        if linkCount >= configuration.maximumDevices,
            let longestSilent = peers.values.filter({ $0.link != nil })
                .min(by: { $0.lastHeard < $1.lastHeard })
        {
            dropLink(of: longestSilent)
        }
        let link = try Link(serverWith: pool, configuration: configuration.link)
        nextLink += 1
        linkCount += 1
        peer.link = link
        peer.linkNumber = nextLink
        peer.isClosing = false
        peer.room = -1
        updateRoom(peer)
        return link
    }

    func dropLink(of peer: ServerPeer) {
        guard let link = peer.link else { return }
        statistics.links.add(link.statistics)
        peer.link = nil
        linkCount -= 1
        for id in peer.sessions {
            sessions[id] = nil
        }
        peer.sessions = []
        // What the application holds of it is confirmed later, and counts for the whole server alone.
        peer.unconfirmed = 0
        peer.sends.finishAll()
        timers.remove(peer)
        events.send(.disconnected(peer.device))
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
            arrivals.append(ReceivedMessage(device: device, message: message, link: peer.linkNumber))
        case .delivered(let id):
            roundTrip.recordMilliseconds(link.roundTripMilliseconds)
            peer.sends.finish(id, .success(()))
        case .sent(let id): peer.sends.finish(id, .success(()))
        case .unknown(let id): peer.sends.finish(id, .failure(.unknownOutcome))
        case .failed(let id): peer.sends.finish(id, .failure(.neverSent))
        case .established(let session): events.send(.connected(device, sessionID: session))
        case .closed(let reason, let byPeer, let missing):
            events.send(.closed(device, reason, byDevice: byPeer, missing: missing))
        case .dead: events.send(.silent(device))
        case .alive: events.send(.heardAgain(device))
        case .epochMoved, .pong: break
        }
    }

    func updateRoom(_ peer: ServerPeer) {
        let all = configuration.queueCapacity - unconfirmed
        let own = configuration.queuePerDevice - peer.unconfirmed
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
        socket.flush()
    }

    var currentStatistics: ServerStatistics {
        var result = statistics
        for link in peers.values.compactMap(\.link) {
            result.links.add(link.statistics)
        }
        result.devices = linkCount
        result.sessions = sessions.count
        result.pendingSessions = acceptor.pendingCount
        result.unconfirmed = unconfirmed
        result.placesUsed = pool.used
        return result
    }
}

extension OuroborosError {
    static func notConnected(_ device: DeviceID) -> OuroborosError {
        OuroborosError(.notConnected, "device \(device) is not connected now")
    }
}

extension ServerEngine: DatagramReceiver {
    func receive(_ packet: UnsafeMutableRawBufferPointer, from address: SocketAddress) {
        let now = now
        let id = Packet.sessionID(of: UnsafeRawBufferPointer(packet))
        if id == 0 {
            receiveHello(UnsafeRawBufferPointer(packet), from: address, now: now)
        } else if let peer = sessions[id], let link = peer.link {
            receive(packet, from: address, peer, link, now)
        } else {
            receiveFirst(packet, sessionID: id, from: address, now: now)
        }
    }

    private func receive(
        _ packet: UnsafeMutableRawBufferPointer, from address: SocketAddress, _ peer: ServerPeer,
        _ link: Link, _ now: UInt64
    ) {
        switch link.receive(packet, from: PeerAddress(address), now: now) {
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

    func readComplete() {
        finishTurn()
    }

    func socketLost(_ error: (any Error)?) {
        logger?.warning("the socket was lost and is opened anew: \(error.map { "\($0)" } ?? "no reason")")
    }
}
