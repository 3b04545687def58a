import Ouroboros

/// A client for a program that does one thing at a time: each call returns when its work is done, and nothing
/// goes on in between. It takes a plain UDP socket and some 20 KB; it belongs to one thread.
///
/// Timers run inside the calls alone: a program that waits for long between two calls lets them run in
/// ``receive(timeout:)``, or sleeps (``sleep(timeout:)``).
public final class BlockingClient {
    private let link: Link
    private let socket: any BlockingSocket
    private let store: (any CredentialStore)?
    private let buffer: UnsafeMutableRawBufferPointer
    private var arrived: [Message] = []
    private var unconfirmed = 0
    private var outcomes: [MessageID: OuroborosError?] = [:]
    private var abandoned: Set<MessageID> = []
    private var isDead = false
    private let queueCapacity: Int

    /// Asked now and then while a call waits; true ends the call. For programs that handle signals.
    public var isInterrupted: () -> Bool = { false }

    /// A small link: reach 16, 8 places, one message window.
    public static var smallLink: LinkConfiguration {
        var link = LinkConfiguration.client
        link.reach = 16
        link.sessions = 1
        link.tails = 2
        link.places = 8
        return link
    }

    /// An evolving credential needs a `store`.
    public init(
        socket: any BlockingSocket, credential: Credential, store: (any CredentialStore)? = nil,
        link configuration: LinkConfiguration = BlockingClient.smallLink, queueCapacity: Int = 8
    ) throws {
        guard credential.kind == .fixed || store != nil else {
            throw OuroborosError(
                .invalidConfiguration,
                "an evolving credential needs a CredentialStore: its epochs have to be durable")
        }
        guard queueCapacity > 0, !configuration.isStream else {
            throw OuroborosError(
                .invalidConfiguration, "queueCapacity is at least 1, and the link is for datagrams")
        }
        link = try Link(client: credential, configuration: configuration)
        self.socket = socket
        self.store = store
        self.queueCapacity = queueCapacity
        buffer = .allocate(byteCount: Packet.maximumSize + 48, alignment: 16)
    }

    deinit {
        buffer.deallocate()
    }

    // MARK: Life

    /// Connects. Without a `timeout` it gives up after the protocol's own time, 45 seconds or a little more.
    ///
    /// The next call confirms the session: a message that is sent at once takes no round trip more.
    public func connect(timeout: Duration? = nil) throws {
        isDead = false
        try link.connect(now: socket.now)
        guard try wait(timeout, sendsLast: false, until: { link.isOpen || isDead }), !isDead else {
            throw OuroborosError(
                .unreachable,
                socket.problem
                    ?? "no answer: the gateway is down or out of reach, does not know this device, or has another key"
            )
        }
    }

    public var isConnected: Bool { link.isOpen }
    public var maximumMessage: Int { link.maximumMessage() }
    public var statistics: Statistics { link.statistics }
    /// As it stands now: an evolving one moves.
    public var credential: Credential? { link.credential }

    /// Sends what is queued, then says goodbye, and waits for the answer.
    public func close(timeout: Duration = .seconds(10)) {
        do {
            try link.close(reason: .normal, atOnce: false, now: socket.now)
            if try !wait(timeout, until: { link.isClosed }) {
                try link.close(reason: .normal, atOnce: true, now: socket.now)
                try pump()
            }
        } catch {
            // It was closed before, or cannot be told any more.
        }
    }

    // MARK: Messages

    /// Sends a message and returns when it was delivered, or, unreliable, when it went out. At the `timeout` a
    /// message that was not sent is taken back (*failed*); one that was sent may still arrive (*unknown*).
    public func send(
        _ payload: some Sequence<UInt8>, delivery: Delivery = .reliable, timeout: Duration? = nil
    ) throws {
        let message = OutgoingMessage(Array(payload), delivery: delivery)
        let id = try link.send(message, now: socket.now)
        let isOver: Bool
        do {
            isOver = try wait(timeout, until: { outcomes[id] != nil })
        } catch {
            abandon(id)
            throw error
        }
        guard isOver else {
            let wasSent = !link.withdraw(id)
            abandon(id)
            throw OuroborosError(
                wasSent ? .unknown : .failed,
                wasSent
                    ? "no acknowledgement within the time: the message may have arrived"
                    : "the message could not be sent within the time")
        }
        if case .some(.some(let error)) = outcomes.removeValue(forKey: id) {
            throw error
        }
    }

    private func abandon(_ id: MessageID) {
        if outcomes.removeValue(forKey: id) == nil {
            abandoned.insert(id)
        }
    }

    /// The next message, which is acknowledged with this call; nil when none came in time.
    public func receive(timeout: Duration) throws -> Message? {
        _ = try wait(timeout, until: { !arrived.isEmpty })
        guard !arrived.isEmpty else { return nil }
        let message = arrived.removeFirst()
        if message.isLastOfPacket {
            unconfirmed -= 1
            link.done(sessionID: message.sessionID, counter: message.counter)
            try pump()
        }
        return message
    }

    /// The time of one round trip.
    public func ping(timeout: Duration = .seconds(10)) throws -> Duration {
        roundTrip = nil
        try link.ping()
        _ = try wait(timeout, until: { roundTrip != nil })
        guard let roundTrip else {
            throw OuroborosError(.unreachable, "no answer to a PING within the time")
        }
        return .milliseconds(Int64(clamping: roundTrip))
    }

    private var roundTrip: UInt64?

    // MARK: Sleep

    /// Waits until nothing is under way, and takes the session out. What is saved goes on with
    /// ``wake(_:slept:)``, once: make the copy void, durably, before that.
    public func sleep(timeout: Duration = .seconds(10)) throws -> SavedSession {
        guard try wait(timeout, until: { link.isQuiet && arrived.isEmpty }) else {
            throw OuroborosError(.wrongState, "the session did not become quiet: something is under way")
        }
        return try link.save(now: socket.now)
    }

    /// Goes on with a session that slept: in this client, or in a new one that is not connected. `slept` is the
    /// time since it was saved, zero if that is not known.
    public func wake(_ saved: SavedSession, slept: Duration) throws {
        try link.restore(saved, slept: slept.wholeMilliseconds, now: socket.now)
    }

    // MARK: The engine

    /// Lets packets and time pass until `isDone`; false at the time-out. What is to be sent then may be left to the next call.
    private func wait(
        _ timeout: Duration?, sendsLast: Bool = true, until isDone: () -> Bool
    ) throws -> Bool {
        let begin = socket.now
        let limit = timeout.map { begin + $0.wholeMilliseconds } ?? .max
        while true {
            try pump()
            if isDone() { return true }
            if isInterrupted() {
                throw OuroborosError(.wrongState, "interrupted")
            }
            let now = socket.now
            guard now < limit else { return false }
            // An engine that asks for this very moment again must not make it spin.
            let due = max(link.deadline(now: now) ?? .max, now + 1)
            try read(until: min(limit, due))
            if due <= socket.now {
                link.tick(now: socket.now)
            }
            if !sendsLast, isDone() { return true }
        }
    }

    /// Waits for one packet, and takes what else is at hand.
    private func read(until deadline: UInt64) throws {
        var until = deadline
        for _ in 0..<16 {
            guard let count = try socket.receive(into: buffer, until: until) else { return }
            until = 0
            let now = socket.now
            let packet = UnsafeMutableRawBufferPointer(rebasing: buffer[..<min(count, buffer.count)])
            let id = Packet.sessionID(of: UnsafeRawBufferPointer(packet))
            if case .taken = link.receive(packet, now: now) {
                socket.took(sessionID: id, held: link.sessionIDs, isShakingHands: link.isShakingHands)
            }
            _ = try drain()
            _ = try link.transmitPong(now: now) { packet, _ in socket.send(packet) }
            link.setRoom(free: queueCapacity - unconfirmed, capacity: queueCapacity)
        }
    }

    private func pump() throws {
        link.setRoom(free: queueCapacity - unconfirmed, capacity: queueCapacity)
        var isBusy = true
        while isBusy {
            // Events first: a handshake's nonce is drawn there, unseen.
            isBusy = try drain()
            while try link.transmit(now: socket.now, { packet, _ in socket.send(packet) }) {
                isBusy = true
            }
        }
    }

    private func drain() throws -> Bool {
        var any = false
        while let event = try link.nextEvent() {
            any = true
            switch event {
            case .message(let message):
                unconfirmed += message.isLastOfPacket ? 1 : 0
                arrived.append(message)
            case .delivered(let id), .sent(let id): finish(id, nil)
            case .unknown(let id, let isStalled): finish(id, .unknown(isStalled: isStalled))
            case .failed(let id): finish(id, OuroborosError(.failed, "the message was never sent"))
            case .epochMoved(let credential):
                // Nothing goes out before this is durable.
                try store?.save(credential)
                link.epochSaved()
            case .dead: isDead = true
            case .alive: isDead = false
            case .pong(let milliseconds): roundTrip = milliseconds
            case .established, .stalled, .closed: break
            }
        }
        return any
    }

    private func finish(_ id: MessageID, _ error: OuroborosError?) {
        if abandoned.remove(id) == nil {
            outcomes[id] = .some(error)
        }
    }
}

extension Duration {
    fileprivate var wholeMilliseconds: UInt64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        // A time that long is for ever.
        guard seconds < 1 << 50 else { return 1 << 60 }
        return UInt64(seconds) * 1000 + UInt64(attoseconds / 1_000_000_000_000_000)
    }
}
