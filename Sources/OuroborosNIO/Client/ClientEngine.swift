import CoreMetrics
import LibC
import Logging
import NIOCore
import Ouroboros

/// A client's link on its event loop: packets, messages and time go through here.
// @unchecked: what is not a `let` of a Sendable type is touched on `loop` alone: tasks come through `submitted`,
// `confirmed` and calls that hop to it, carriers call on it.
final class ClientEngine: @unchecked Sendable {
    let loop: any EventLoop
    let inbox = Inbox<Message>()
    let states = Broadcast<ConnectionState>()
    let facts = Locked(ClientFacts())

    let server: ServerPlace
    let configuration: ClientConfiguration
    let carrier: any ClientCarrier
    private var opening: EventLoopFuture<Void>?
    /// The same, if it is one.
    let streams: StreamCarrier?
    var streamState = StreamState()
    /// How long the first session may take.
    private let patience: Duration?
    let store: (any CredentialStore)?
    var logger: Logger?
    private let submitted: Handoff<SendTicket>
    private let confirmed: Handoff<ConfirmedPacket>

    let roundTrip: Timer
    var state: ClientState<Link>
    var firstPacket = FirstPacket()
    var sends = SendQueue()
    var pings = PingWaiters()
    private var timer: LoopTimer?
    private var lookUpTold: UInt64?
    /// Packets whose messages wait to be taken.
    var queued = 0
    let connected: EventLoopPromise<Void>
    private let ended: EventLoopPromise<Void>

    convenience init(
        server: ServerPlace, credential: Credential, store: (any CredentialStore)?,
        configuration: ClientConfiguration
    ) throws {
        let loop = configuration.eventLoopGroup.next()
        try self.init(
            carrier: server.carrier(on: loop, configuration), on: loop, server: server,
            credential: credential, store: store, configuration: configuration)
    }

    init(
        carrier: any ClientCarrier, on loop: any EventLoop, server: ServerPlace, credential: Credential,
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
        let terms = configuration.link.connecting(within: configuration.connectTimeout)
        let link = try Link(
            client: credential, configuration: streams == nil ? terms : terms.overStream)
        // Over datagrams the link gives up by itself.
        patience = configuration.connectTimeout ?? (streams == nil ? nil : StreamState.giveUp)
        state = ClientState(
            link,
            .init(
                connect: patience?.milliseconds, idle: configuration.idleTimeout?.milliseconds,
                close: configuration.closeTimeout.milliseconds),
            now: loop.now.milliseconds)
        facts.withLock { $0.maximumMessage = link.maximumMessage() }
        connected = loop.makePromise()
        ended = loop.makePromise()
        timer = LoopTimer(on: loop) { [weak self] in self?.timerFired() }
    }

    var now: UInt64 { loop.now.milliseconds }
    var acknowledgesWhenTaken: Bool { configuration.acknowledgement == .whenTaken }

    // MARK: Life

    /// Done when there is a session; fails when the server does not answer.
    func connect() -> EventLoopFuture<Void> {
        loop.flatSubmit { [self] in
            guard state.link != nil else { return loop.makeFailedFuture(OuroborosError.connectionClosed) }
            let opening = carrier.open(for: self)
            self.opening = opening
            return opening
        }.flatMapThrowing { [self] in
            let now = now
            guard let link = state.opened(now: now) else { return }
            // Nobody answers before there is room: set it first.
            link.setRoom(free: configuration.queueCapacity, capacity: configuration.queueCapacity)
            // Over streams the handshake begins with each of them.
            guard streams == nil else {
                arm(now)
                return
            }
            try link.connect(now: now)
            pump()
        }.flatMapErrorThrowing { [self] error in
            let failure = (error as? OuroborosError) ?? .socket(error, "opening a socket")
            end(failure)
            throw failure
        }.flatMap { [self] in connected.futureResult }
    }

    /// Sends what is queued, then CLOSE; or CLOSE at once. Done when the connection is over.
    func close(atOnce: Bool, reason: CloseReason = .normal) -> EventLoopFuture<Void> {
        loop.flatSubmit { [self] in
            guard state.close(now: now) else { return ended.futureResult }
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
            try state.link?.close(reason: reason, atOnce: atOnce, now: now)
        } catch {
            logger?.debug("closing: \(error)")
        }
        pump()
    }

    /// The connection is over: everybody who waits is told.
    func end(_ error: OuroborosError?) {
        takeHandoffs()
        guard state.end(error) else { return }
        timer?.cancel()
        sends.finishAll()
        pings.finish(.failure(error ?? OuroborosError.connectionClosed))
        connected.fail(error ?? OuroborosError.connectionClosed)
        inbox.finish()
        states.send(.closed) { facts.withLock { $0.state = .closed } }
        states.finish()
        closeCarrier().whenComplete { [ended] _ in ended.succeed() }
    }

    /// Not before it is open, and not if it never was asked to.
    private func closeCarrier() -> EventLoopFuture<Void> {
        guard let opening else { return loop.makeSucceededVoidFuture() }
        return opening.recover { _ in }.flatMap { [self] in carrier.close() }
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
            sends.cancel(ticket, link: state.link)
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
            let link: Link
            do {
                link = try state.openLink()
            } catch {
                return loop.makeFailedFuture(error)
            }
            do {
                try link.ping()
            } catch {
                return loop.makeFailedFuture(
                    OuroborosError(.wrongState, "there is no session to send a PING in"))
            }
            firstPacket.release()
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

    func giveUp(_ position: OutboxPosition) -> EventLoopFuture<Void> {
        loop.submit { [self] in state.link?.giveUp(position) }
    }

    func rekey() -> EventLoopFuture<Void> {
        loop.submit { [self] in
            try state.openLink().rekey(now: now)
            pump()
        }
    }

    func statistics() -> EventLoopFuture<Statistics> {
        loop.submit { [self] in
            try state.openLink().statistics
        }
    }

    private func takeHandoffs() {
        for ticket in submitted.take() {
            if let refusal = state.refusal {
                ticket.finish(.failure(refusal))
            } else {
                sends.append(ticket)
                state.used(now: now)
            }
        }
        for packet in confirmed.take() {
            queued -= 1
            state.used(now: now)
            state.link?.done(sessionID: packet.sessionID, counter: packet.counter)
        }
    }

    // MARK: The engine

    private func timerFired() {
        timer?.fired()
        guard let link = state.link else { return }
        let now = now
        link.tick(now: now)
        if link.isStreamBroken {
            abandonStream(nil)
        }
        if streamState.tick(now: now) {
            report(.unreachable)
        }
        let isQuiet = link.pending == 0 && !sends.hasWaiting && queued == 0
        switch state.tick(now: now, isQuiet: isQuiet) {
        case .giveUp: end(.noAnswer(from: server, within: patience, carrier.lastError))
        case .closeIdle: _ = close(atOnce: false, reason: .idle)
        case .cutShort:
            beginClose(atOnce: true)
            end(nil)
        case nil: break
        }
        pump()
    }

    /// Lets the engine send, tell and take until it has nothing more to do.
    func pump() {
        takeHandoffs()
        guard let link = state.link else { return }
        let now = now
        do {
            updateRoom(link)
            var isBusy = true
            while isBusy {
                // Events first: a handshake's nonce is drawn there, unseen, and HELLO follows.
                isBusy = try drain(link, now)
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
                arm(now)
            }
        } catch {
            fail(error)
        }
    }

    func arm(_ now: UInt64) {
        guard let link = state.link else { return }
        let maySend = carrier.isWritable && firstPacket.deadline == nil
        timer?.arm(at: LoopTimer.wake(link.deadline(now: now), maySend: maySend, now: now), now: now)
        timer?.arm(at: state.deadline, now: now)
        timer?.arm(at: firstPacket.deadline, now: now)
        timer?.arm(at: streamState.deadline, now: now)
    }

    private func transmit(_ link: Link, _ now: UInt64) throws -> Bool {
        guard !firstPacket.isHeld(now: now, hasMore: link.pending > 0 || state.isClosing) else {
            return false
        }
        var any = false
        while carrier.isWritable, try link.transmit(now: now, { packet, _ in carrier.write(packet) }) {
            any = true
        }
        return any
    }
}

extension ClientEngine: ClientCarrierDelegate {
    func receive(_ packet: UnsafeMutableRawBufferPointer) -> Bool {
        guard let link = state.link else { return false }
        let now = now
        let receipt = link.receive(packet, now: now)
        if case .ended(let error) = receipt {
            logger?.debug("\(error)")
            if streams != nil {
                abandonStream(error)
                return false
            }
        }
        do {
            // The events point into the packet, and the next one would take a PONG's place.
            _ = try drain(link, now)
            if carrier.isWritable {
                _ = try link.transmitPong(now: now) { packet, _ in carrier.write(packet) }
            }
            updateRoom(link)
        } catch {
            fail(error)
        }
        if case .taken = receipt { return true }
        return false
    }

    private func updateRoom(_ link: Link) {
        if streams != nil {
            // What the other side may have in flight still fits: only more than that stops reading.
            let isReading = queued <= configuration.queueCapacity && link.mayReadStream
            carrier.pause(!isReading)
            link.setStreamReading(isReading, now: now)
        } else {
            link.setRoom(free: configuration.queueCapacity - queued, capacity: configuration.queueCapacity)
        }
    }

    func readComplete() {
        pump()
    }

    var heldSessions: [UInt32] { state.link?.sessionIDs ?? [] }
    var isShakingHands: Bool { state.link?.isShakingHands ?? false }

    func becameWritable() {
        pump()
    }

    /// Told once a minute.
    func lookUpFailed(_ error: any Error) {
        let isNews = lookUpTold.map { now >= $0 + 60_000 } ?? true
        if isNews { lookUpTold = now }
        logger?.log(
            level: isNews ? .warning : .debug,
            "\((error as? OuroborosError)?.message ?? "\(error)"); it is tried again")
    }

    func socketLost(_ error: (any Error)?) {
        logger?.info("the socket was lost and is opened anew: \(error.map { "\($0)" } ?? "no reason")")
    }
}
