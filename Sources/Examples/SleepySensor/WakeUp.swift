import Ouroboros

/// The engine, driven by hand over one socket: packets in, packets out, time.
final class WakeUp {
    private let link: Link
    private let socket: Socket
    private var delivered: Set<MessageID> = []

    init(credential: Credential, host: String, port: String) throws {
        var configuration = LinkConfiguration.client
        // A small one: what the session takes in the file grows with its reach.
        configuration.reach = 8
        configuration.sessions = 1
        configuration.tails = 2
        configuration.places = 4
        link = try Link(client: credential, configuration: configuration)
        link.setRoom(free: 8, capacity: 8)
        socket = try Socket(host: host, port: port)
    }

    var handshakes: UInt64 { link.statistics.handshakes }

    func connect() throws {
        try link.connect(now: Clock.now)
    }

    /// Goes on with a session that slept; one that is damaged or of another key gives way to a handshake.
    func resume(_ session: SavedSession, slept: UInt64) throws {
        do {
            try link.restore(session, slept: slept, now: Clock.now)
        } catch  where error.code == .damaged {
            try connect()
        }
    }

    /// Returns when the gateway has the message.
    func send(_ payload: [UInt8], within limit: UInt64) throws {
        let id = try link.send(OutgoingMessage(payload), now: Clock.now)
        guard try run(for: limit, until: { delivered.contains(id) }) else {
            throw OuroborosError(.unreachable, "the gateway has not confirmed the message")
        }
    }

    /// The session as it is to be kept, or nil when it does not come to rest.
    func sleep(within limit: UInt64) throws -> SavedSession? {
        guard try run(for: limit, until: { link.isQuiet }) else { return nil }
        return try link.save(now: Clock.now)
    }

    private func run(for limit: UInt64, until isDone: () -> Bool) throws -> Bool {
        let end = Clock.now + limit
        while true {
            try pump()
            let now = Clock.now
            if isDone() { return true }
            guard now < end else { return false }
            let deadline = min(end, link.deadline(now: now) ?? end)
            if try socket.waitForPacket(milliseconds: deadline > now ? deadline - now : 0) {
                try socket.receive { _ = link.receive($0, now: Clock.now) }
            } else {
                link.tick(now: Clock.now)
            }
        }
    }

    /// Lets the engine tell and send until it has nothing more.
    private func pump() throws {
        var isBusy = true
        while isBusy {
            isBusy = false
            while let event = try link.nextEvent() {
                isBusy = true
                try handle(event)
            }
            while try link.transmit(now: Clock.now, { packet, _ in socket.send(packet) }) {
                isBusy = true
            }
        }
    }

    private func handle(_ event: LinkEvent) throws {
        switch event {
        case .delivered(let id): delivered.insert(id)
        case .message(let message):
            link.done(sessionID: message.sessionID, counter: message.counter)
        case .unknown, .failed:
            throw OuroborosError(.unknown, "the session ended before the gateway confirmed the message")
        default: break
        }
    }
}
