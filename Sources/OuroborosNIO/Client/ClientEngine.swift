import CoreMetrics
import Logging
import NIOCore
import Ouroboros

/// A client's link on its event loop: packets, messages and time go through here.
// @unchecked: what is not a `let` of a Sendable type is touched on `loop` alone.
final class ClientEngine: @unchecked Sendable {
    let loop: any EventLoop
    let inbox = Inbox<Message>()
    let states = Broadcast<ConnectionState>()
    let facts = Locked(ClientFacts())

    private let configuration: ClientConfiguration
    private let server: SocketAddress
    private let carrier: any ClientCarrier
    /// The same, if it is one.
    private let streams: StreamCarrier?
    private let store: (any CredentialStore)?
    private var logger: Logger?
    private let submitted: Handoff<SendTicket>
    private let confirmed: Handoff<ConfirmedPacket>

    private let roundTrip: Timer
    private var link: Link?
    private var sends = SendQueue()
    private var pings = PingWaiters()
    private var timer: LoopTimer?
    private var queued = 0
    private var isConnected = false
    private var isClosing = false
    private var failure: OuroborosError?
    /// A stream's session ended: the stream is to be ended, too, once the last packet is written.
    private var endedBy: CloseReason?
    private var isUnreachable = false
    private var isAfterShutdown = false
    /// When a message last came or went.
    private var lastUsed: NIODeadline
    private var idleTimer: Scheduled<Void>?
    private var unreachableTimer: Scheduled<Void>?
    private let connected: EventLoopPromise<Void>
    private let ended: EventLoopPromise<Void>

    convenience init(
        server: Endpoint, credential: Credential, store: (any CredentialStore)?,
        configuration: ClientConfiguration
    ) throws {
        let loop = configuration.eventLoopGroup.next()
        let carrier: any ClientCarrier =
            if let network = server.transport.datagramNetwork {
                DatagramCarrier(
                    network.makePort(
                        on: loop, at: server.address.anyLocal, receiveBatch: configuration.receiveBatch),
                    server: server.address)
            } else {
                StreamCarrier(
                    on: loop, server: server.address, firstTimeout: configuration.link.firstTimeout)
            }
        try self.init(
            carrier: carrier, on: loop, server: server.address, credential: credential, store: store,
            configuration: configuration)
    }

    init(
        carrier: any ClientCarrier, on loop: any EventLoop, server: SocketAddress, credential: Credential,
        store: (any CredentialStore)?, configuration: ClientConfiguration
    ) throws {
        guard credential.kind == .fixed || store != nil else {
            throw OuroborosError(
                .invalidConfiguration,
                "an evolving credential needs a CredentialStore: its epochs have to be durable")
        }
        guard configuration.queueCapacity > 0 else {
            throw OuroborosError(.invalidConfiguration, "queueCapacity is at least 1")
        }
        self.server = server
        self.store = store
        self.configuration = configuration
        self.loop = loop
        self.carrier = carrier
        streams = carrier as? StreamCarrier
        var logger = configuration.logger
        logger?[metadataKey: "device"] = "\(credential.deviceID)"
        self.logger = logger
        roundTrip = .roundTrip(configuration.metrics)
        submitted = Handoff(to: loop)
        confirmed = Handoff(to: loop)
        let link = try Link(
            client: credential,
            configuration: streams == nil ? configuration.link : configuration.link.overStream)
        self.link = link
        facts.withLock { $0.maximumMessage = link.maximumMessage() }
        lastUsed = loop.now
        connected = loop.makePromise()
        ended = loop.makePromise()
        timer = LoopTimer(on: loop) { [weak self] in self?.timerFired() }
    }

    private var now: UInt64 { loop.now.milliseconds }
    var acknowledgesWhenTaken: Bool { configuration.acknowledgement == .whenTaken }

    // MARK: Life

    /// Done when there is a session; fails when the server does not answer.
    func connect() -> EventLoopFuture<Void> {
        carrier.open(for: self).flatMapThrowing { [self] in
            // Nobody answers before there is room: set it first.
            link?.setRoom(free: configuration.queueCapacity, capacity: configuration.queueCapacity)
            startConnectTimer()
            // Over streams the handshake begins with each of them.
            guard streams == nil else { return }
            try link?.connect(now: now)
            pump()
        }.flatMapErrorThrowing { [self] error in
            let failure = (error as? OuroborosError) ?? .socket(error, "opening a socket")
            end(failure)
            throw failure
        }.flatMap { [self] in connected.futureResult }
    }

    private func startConnectTimer() {
        // Over datagrams the engine gives up by itself.
        guard let timeout = configuration.connectTimeout ?? (streams == nil ? nil : Self.giveUp) else {
            return
        }
        let task = loop.scheduleTask(in: TimeAmount(timeout)) { [self] in
            if !isConnected {
                end(.noAnswer(from: server, within: timeout, streams?.lastError))
            }
        }
        connected.futureResult.whenComplete { _ in task.cancel() }
    }

    private static let giveUp: Duration = .seconds(45)

    private func startIdleTimer() {
        guard let limit = configuration.idleTimeout.map(TimeAmount.init), idleTimer == nil else { return }
        idleTimer = loop.scheduleTask(deadline: lastUsed + limit) { [weak self] in
            guard let self, let link else { return }
            idleTimer = nil
            if link.pending == 0, !sends.hasWaiting, queued == 0, loop.now - lastUsed >= limit {
                _ = close(atOnce: false, reason: .idle)
            } else {
                lastUsed = max(lastUsed, loop.now - limit + .milliseconds(1))
                startIdleTimer()
            }
        }
    }

    /// Sends what is queued, then CLOSE; or CLOSE at once. Done when the connection is over.
    func close(atOnce: Bool, reason: CloseReason = .normal) -> EventLoopFuture<Void> {
        loop.flatSubmit { [self] in
            guard link != nil else { return ended.futureResult }
            if !isClosing {
                isClosing = true
                let timeout = loop.scheduleTask(in: TimeAmount(configuration.closeTimeout)) { [self] in
                    beginClose(atOnce: true)
                    end(nil)
                }
                ended.futureResult.whenComplete { _ in timeout.cancel() }
            }
            beginClose(atOnce: atOnce, reason: reason)
            if atOnce {
                // One CLOSE is sent, and nobody waits for its answer.
                end(nil)
            }
            return ended.futureResult
        }
    }

    /// Done when nothing is left of the connection.
    var whenOver: EventLoopFuture<Void> { ended.futureResult }

    func whenEnded(_ body: @escaping @Sendable () -> Void) {
        ended.futureResult.whenComplete { _ in body() }
    }

    private func beginClose(atOnce: Bool, reason: CloseReason = .normal) {
        takeHandoffs()
        do {
            try link?.close(reason: reason, atOnce: atOnce, now: now)
        } catch {
            logger?.debug("closing: \(error)")
        }
        pump()
    }

    /// The connection is over: everybody who waits is told.
    private func end(_ error: OuroborosError?) {
        guard link != nil else { return }
        takeHandoffs()
        link = nil
        failure = error
        timer?.cancel()
        timer = nil
        unreachableTimer?.cancel()
        unreachableTimer = nil
        idleTimer?.cancel()
        idleTimer = nil
        sends.finishAll()
        pings.finish(.failure(error ?? OuroborosError.connectionClosed))
        connected.fail(error ?? OuroborosError.connectionClosed)
        inbox.finish()
        facts.withLock { $0.state = .closed }
        states.send(.closed)
        states.finish()
        carrier.close().whenComplete { [ended] _ in ended.succeed() }
    }

    // MARK: From tasks

    func submit(_ ticket: SendTicket) {
        submitted.put(ticket) { [self] in pump() }
    }

    func submit(_ tickets: [SendTicket]) {
        submitted.put(contentsOf: tickets) { [self] in pump() }
    }

    func cancel(_ ticket: SendTicket) {
        loop.execute { [self] in
            takeHandoffs()
            sends.cancel(ticket, link: link)
            pump()
        }
    }

    func confirm(_ message: Message) {
        guard message.isLastOfPacket else { return }
        confirmed.put(ConfirmedPacket(message)) { [self] in pump() }
    }

    func ping(_ ticket: PingTicket, timeout: Duration) -> EventLoopFuture<Duration> {
        let isCancelled = Task.isCancelled
        return loop.flatSubmit { [self] in
            guard !isCancelled else { return loop.makeFailedFuture(CancellationError()) }
            guard let link else { return loop.makeFailedFuture(failure ?? OuroborosError.connectionClosed) }
            do {
                try link.ping()
            } catch {
                return loop.makeFailedFuture(
                    OuroborosError(.wrongState, "there is no session to send a PING in"))
            }
            let answer = pings.add(ticket, on: loop)
            let task = loop.scheduleTask(in: TimeAmount(timeout)) { [self] in
                pings.finish(ticket, .failure(OuroborosError.noAnswer(from: server, within: timeout)))
            }
            answer.promise.futureResult.whenComplete { _ in task.cancel() }
            pump()
            return answer.promise.futureResult
        }
    }

    func cancel(_ ticket: PingTicket) {
        loop.execute { [self] in pings.finish(ticket, .failure(CancellationError())) }
    }

    func rekey() -> EventLoopFuture<Void> {
        loop.submit { [self] in
            guard let link else { throw failure ?? OuroborosError.connectionClosed }
            try link.rekey(now: now)
            pump()
        }
    }

    func statistics() -> EventLoopFuture<Statistics> {
        loop.submit { [self] in
            guard let link else { throw failure ?? OuroborosError.connectionClosed }
            return link.statistics
        }
    }

    private func takeHandoffs() {
        for ticket in submitted.take() {
            if link == nil || isClosing {
                ticket.finish(.failure(failure ?? .closedBeforeSending))
            } else {
                sends.append(ticket)
                lastUsed = loop.now
            }
        }
        for packet in confirmed.take() {
            queued -= 1
            link?.done(sessionID: packet.sessionID, counter: packet.counter)
        }
    }

    // MARK: The engine

    private func timerFired() {
        timer?.fired()
        link?.tick(now: now)
        if let link, link.isStreamBroken {
            abandonStream(nil)
        }
        pump()
    }

    /// Lets the engine send, tell and take until it has nothing more to do.
    private func pump() {
        takeHandoffs()
        guard let link else { return }
        let now = now
        do {
            updateRoom(link)
            var isBusy = true
            while isBusy {
                // Events first: a handshake's nonce is drawn there, unseen, and HELLO follows.
                isBusy = try drain(link)
                isBusy = try transmit(link, now) || isBusy
                isBusy = sends.admit(to: link, now: now) || isBusy
            }
            carrier.flush()
            if let streams {
                turnStream(streams, link)
            }
            if link.isClosed {
                end(nil)
            } else {
                timer?.arm(at: link.deadline(now: now), now: now)
            }
        } catch {
            fail(error)
        }
    }

    private func transmit(_ link: Link, _ now: UInt64) throws -> Bool {
        var any = false
        while carrier.isWritable, try link.transmit(now: now, { packet, _ in carrier.write(packet) }) {
            any = true
        }
        return any
    }

    private func drain(_ link: Link) throws -> Bool {
        var any = false
        while let event = try link.nextEvent() {
            any = true
            try handle(event, link)
        }
        return any
    }

    private func handle(_ event: LinkEvent, _ link: Link) throws {
        switch event {
        case .message(let message):
            queued += message.isLastOfPacket ? 1 : 0
            lastUsed = loop.now
            inbox.append(message)
        case .delivered(let id):
            roundTrip.recordMilliseconds(link.roundTripMilliseconds)
            sends.finish(id, .success(()))
        case .sent(let id): sends.finish(id, .success(()))
        case .unknown(let id): sends.finish(id, .failure(.unknownOutcome))
        case .failed(let id): sends.finish(id, .failure(.neverSent))
        case .epochMoved(let credential):
            // Nothing goes out before this is durable.
            try store?.save(credential)
            link.epochSaved()
            logger?.debug("moved to epoch \(credential.epoch)")
        case .pong(let milliseconds): pings.answered(milliseconds, now: loop.now)
        case .established, .closed, .dead, .alive: changed(event, link)
        }
    }

    private func changed(_ event: LinkEvent, _ link: Link) {
        switch event {
        case .established(let sessionID):
            isConnected = true
            logger?[metadataKey: "session"] = "\(sessionID)"
            facts.withLock { $0.maximumMessage = link.maximumMessage() }
            streamIsUp()
            report(.connected(sessionID: sessionID))
            connected.succeed()
            startIdleTimer()
        case .closed(let reason, let byPeer, let missing):
            endedBy = reason
            // A stream that broke has been told already.
            guard streams?.isWritable ?? true || byPeer || isClosing else { break }
            report(.sessionClosed(reason, byServer: byPeer, missing: missing))
        case .alive:
            report(.reachable)
        case .dead:
            report(.unreachable)
            if !isConnected {
                end(.noAnswer(from: server, within: nil))
            }
        default: break
        }
    }

    private func report(_ state: ConnectionState) {
        logger?.debug("\(state)")
        facts.withLock { $0.state = state }
        states.send(state)
    }

    private func fail(_ error: any Error) {
        let failure =
            (error as? OuroborosError) ?? OuroborosError(.storage, "saving the credential: \(error)")
        logger?.error("the connection ends: \(failure)")
        end(failure)
    }
}

extension ClientEngine: ClientCarrierDelegate {
    func receive(_ packet: UnsafeMutableRawBufferPointer) {
        guard let link else { return }
        let now = now
        if case .ended(let error) = link.receive(packet, now: now) {
            logger?.debug("\(error)")
            if streams != nil {
                abandonStream(error)
                return
            }
        }
        do {
            // The events point into the packet, and the next one would take a PONG's place.
            _ = try drain(link)
            if carrier.isWritable {
                _ = try link.transmitPong(now: now) { packet, _ in carrier.write(packet) }
            }
            updateRoom(link)
        } catch {
            fail(error)
        }
    }

    private func updateRoom(_ link: Link) {
        if streams != nil {
            // What the other side may have in flight still fits: only more than that stops reading.
            carrier.pause(queued > configuration.queueCapacity)
        } else {
            link.setRoom(free: configuration.queueCapacity - queued, capacity: configuration.queueCapacity)
        }
    }

    func readComplete() {
        pump()
    }

    var heldSessions: [UInt32] { link?.sessionIDs ?? [] }
    var isShakingHands: Bool { link?.isShakingHands ?? false }

    func becameWritable() {
        pump()
    }

    func socketLost(_ error: (any Error)?) {
        logger?.info("the socket was lost and is opened anew: \(error.map { "\($0)" } ?? "no reason")")
    }
}

/// Streams: each has one session, and a lost one is followed by another.
extension ClientEngine {
    func streamOpened() {
        do {
            try link?.connect(now: now)
            pump()
        } catch {
            fail(error)
        }
    }

    func streamLost(_ error: (any Error)?) {
        logger?.info("the stream was lost: \(error.map { "\($0)" } ?? "the other side ended it")")
        abandonStream(error)
        pump()
    }

    /// The stream broke: what is in flight is *unknown*, what is queued goes over the next one.
    private func abandonStream(_ error: (any Error)?) {
        guard let streams, let link else { return }
        let hadSession = link.isOpen
        streams.endStream()
        link.streamEnded()
        do {
            _ = try drain(link)
        } catch {
            fail(error)
            return
        }
        endedBy = nil
        if isClosing {
            end(nil)
            return
        }
        if hadSession {
            report(.interrupted)
        }
        startUnreachableTimer()
        streams.connectLater()
    }

    /// After each turn: a session that was closed ends its stream, and what waits begins another.
    private func turnStream(_ streams: StreamCarrier, _ link: Link) {
        if let reason = endedBy, !link.isOpen, !link.isClosed {
            endedBy = nil
            streams.endStream()
            link.streamEnded()
            if reason == .rekey {
                streams.connect()
            } else if reason == .shutdown {
                isAfterShutdown = true
            }
        }
        // A message waits, and there is no stream to come.
        if streams.isIdle, !link.isClosed, !isClosing, sends.hasWaiting || link.pending > 0 {
            isAfterShutdown ? streams.connectLater() : streams.connect()
            startUnreachableTimer()
        }
    }

    private func startUnreachableTimer() {
        guard isConnected, unreachableTimer == nil, !isUnreachable else { return }
        unreachableTimer = loop.scheduleTask(in: TimeAmount(Self.giveUp)) { [weak self] in
            guard let self else { return }
            unreachableTimer = nil
            isUnreachable = true
            report(.unreachable)
        }
    }

    private func streamIsUp() {
        guard let streams else { return }
        streams.succeeded()
        isAfterShutdown = false
        unreachableTimer?.cancel()
        unreachableTimer = nil
        if isUnreachable {
            isUnreachable = false
            report(.reachable)
        }
    }
}

/// What tasks may ask without going to the event loop.
struct ClientFacts {
    var maximumMessage = 0
    var state = ConnectionState.connecting
}

/// A packet whose messages are safe.
struct ConfirmedPacket: Sendable {
    let sessionID: UInt32
    let counter: UInt64

    init(_ message: Message) {
        sessionID = message.sessionID
        counter = message.counter
    }
}

extension OuroborosError {
    static func socket(_ error: any Error, _ activity: String) -> OuroborosError {
        OuroborosError(.transport, "\(activity): \(error)")
    }

    static func noAnswer(
        from server: SocketAddress, within timeout: Duration?, _ cause: (any Error)? = nil
    ) -> OuroborosError {
        let time =
            (timeout.map { "\($0)" } ?? "45 seconds or more, and five tries")
            + (cause.map { " (\($0))" } ?? "")
        return OuroborosError(
            .unreachable,
            "no answer from \(server.readable) within \(time): it is down or out of reach, does not know this "
                + "device, or has another key for it")
    }
}
