import CoreMetrics
import Logging
import NIOCore
import Ouroboros
import Synchronization

/// A client's link on its event loop: packets, messages and time go through here.
// @unchecked: what is not a `let` of a Sendable type is touched on `loop` alone.
final class ClientEngine: @unchecked Sendable {
    let loop: any EventLoop
    let inbox = Inbox<Message>()
    let states = Broadcast<ConnectionState>()
    let facts = Mutex(ClientFacts())

    private let configuration: ClientConfiguration
    private let server: SocketAddress
    private let store: (any CredentialStore)?
    private var logger: Logger?
    private let socket: DatagramSocket
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
    private var pumpIsScheduled = false
    private let connected: EventLoopPromise<Void>
    private let ended: EventLoopPromise<Void>

    init(
        server: SocketAddress, credential: Credential, store: (any CredentialStore)?,
        configuration: ClientConfiguration
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
        loop = configuration.eventLoopGroup.next()
        var logger = configuration.logger
        logger?[metadataKey: "device"] = "\(credential.deviceID)"
        self.logger = logger
        socket = DatagramSocket(
            on: loop, localAddress: server.anyLocal, receiveBatch: configuration.receiveBatch)
        roundTrip = .roundTrip(configuration.metrics)
        submitted = Handoff(to: loop)
        confirmed = Handoff(to: loop)
        let link = try Link(client: credential, configuration: configuration.link)
        self.link = link
        facts.withLock { $0.maximumMessage = link.maximumMessage() }
        connected = loop.makePromise()
        ended = loop.makePromise()
        timer = LoopTimer(on: loop) { [weak self] in self?.timerFired() }
    }

    private var now: UInt64 { loop.now.milliseconds }
    var acknowledgesWhenTaken: Bool { configuration.acknowledgement == .whenTaken }

    // MARK: Life

    /// Done when there is a session; fails when the server does not answer.
    func connect() -> EventLoopFuture<Void> {
        socket.open(for: self).flatMapThrowing { [self] in
            // Nobody answers before there is room: set it first.
            link?.setRoom(free: configuration.queueCapacity, capacity: configuration.queueCapacity)
            try link?.connect(now: now)
            startConnectTimer()
            pump()
        }.flatMapErrorThrowing { [self] error in
            let failure = (error as? OuroborosError) ?? .socket(error, "opening a UDP socket")
            end(failure)
            throw failure
        }.flatMap { [self] in connected.futureResult }
    }

    private func startConnectTimer() {
        guard let timeout = configuration.connectTimeout else { return }
        let task = loop.scheduleTask(in: TimeAmount(timeout)) { [self] in
            if !isConnected {
                end(.noAnswer(from: server, within: timeout))
            }
        }
        connected.futureResult.whenComplete { _ in task.cancel() }
    }

    /// Sends what is queued, then CLOSE; or CLOSE at once. Done when the connection is over.
    func close(atOnce: Bool) -> EventLoopFuture<Void> {
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
            beginClose(atOnce: atOnce)
            if atOnce {
                // One CLOSE is sent, and nobody waits for its answer.
                end(nil)
            }
            return ended.futureResult
        }
    }

    private func beginClose(atOnce: Bool) {
        takeHandoffs()
        do {
            try link?.close(reason: .normal, atOnce: atOnce, now: now)
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
        sends.finishAll()
        pings.finish(.failure(error ?? OuroborosError.connectionClosed))
        connected.fail(error ?? OuroborosError.connectionClosed)
        inbox.finish()
        states.send(.closed)
        states.finish()
        socket.close().whenComplete { [ended] _ in ended.succeed() }
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

    func ping(timeout: Duration) -> EventLoopFuture<Duration> {
        loop.flatSubmit { [self] in
            guard let link else { return loop.makeFailedFuture(failure ?? OuroborosError.connectionClosed) }
            do {
                try link.ping()
            } catch {
                return loop.makeFailedFuture(
                    OuroborosError(.wrongState, "there is no session to send a PING in"))
            }
            let answer = pings.add(on: loop)
            let task = loop.scheduleTask(in: TimeAmount(timeout)) { [self] in
                pings.finish(answer, .failure(OuroborosError.noAnswer(from: server, within: timeout)))
            }
            answer.promise.futureResult.whenComplete { _ in task.cancel() }
            pump()
            return answer.promise.futureResult
        }
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
        pump()
    }

    /// Lets the engine send, tell and take until it has nothing more to do.
    private func pump() {
        takeHandoffs()
        guard let link else { return }
        let now = now
        do {
            link.setRoom(free: configuration.queueCapacity - queued, capacity: configuration.queueCapacity)
            var isBusy = true
            while isBusy {
                // Events first: a handshake's nonce is drawn there, unseen, and HELLO follows.
                isBusy = try drain(link)
                isBusy = try transmit(link, now) || isBusy
                isBusy = sends.admit(to: link, now: now) || isBusy
            }
            socket.flush()
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
        while try link.transmit(now: now, { packet, _ in socket.write(packet, to: server) }) {
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
        case .pong(let milliseconds): pings.answered(milliseconds)
        case .established, .closed, .dead, .alive: changed(event, link)
        }
    }

    private func changed(_ event: LinkEvent, _ link: Link) {
        switch event {
        case .established(let sessionID):
            isConnected = true
            logger?[metadataKey: "session"] = "\(sessionID)"
            facts.withLock { $0.maximumMessage = link.maximumMessage() }
            connected.succeed()
            report(.connected(sessionID: sessionID))
        case .closed(let reason, let byPeer, let missing):
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

extension ClientEngine: DatagramReceiver {
    func receive(_ packet: UnsafeMutableRawBufferPointer, from address: SocketAddress) {
        guard let link, address == server else { return }
        let now = now
        if case .ended(let error) = link.receive(packet, now: now) {
            logger?.debug("\(error)")
        }
        do {
            // The events point into the packet, and the next one would take a PONG's place.
            _ = try drain(link)
            _ = try link.transmitPong(now: now) { packet, _ in socket.write(packet, to: server) }
            link.setRoom(free: configuration.queueCapacity - queued, capacity: configuration.queueCapacity)
        } catch {
            fail(error)
        }
    }

    func readComplete() {
        pump()
    }

    func socketLost(_ error: (any Error)?) {
        logger?.info("the socket was lost and is opened anew: \(error.map { "\($0)" } ?? "no reason")")
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

    static func noAnswer(from server: SocketAddress, within timeout: Duration?) -> OuroborosError {
        let time = timeout.map { "\($0)" } ?? "45 seconds or more, and five tries"
        return OuroborosError(
            .unreachable,
            "no answer from \(server.readable) within \(time): it is down or out of reach, does not know this "
                + "device, or has another key for it")
    }
}
