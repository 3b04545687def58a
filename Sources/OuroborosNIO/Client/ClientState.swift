import Ouroboros

/// A client's connection from its first step to its last. Its link is there until the last: nothing can be asked of a
/// connection that is over. What happens goes in, with the time in milliseconds; what is due comes out.
struct ClientState<Link> {
    struct Limits {
        /// Until the first session; nil is for ever.
        var connect: UInt64?
        /// Without a message; nil is for ever.
        var idle: UInt64?
        /// Until what is under way is done.
        var close: UInt64
    }

    enum Due {
        /// No session came in time.
        case giveUp
        /// No message came or went for long.
        case closeIdle
        /// Closing takes too long.
        case cutShort
    }

    private enum Phase {
        case opening(Link)
        case connecting(Link, until: UInt64?)
        case connected(Link, idleAt: UInt64?)
        case closing(Link, hadSession: Bool, until: UInt64)
        case closed(OuroborosError?)
    }

    private let limits: Limits
    private var phase: Phase
    private var lastUsed: UInt64

    init(_ link: Link, _ limits: Limits, now: UInt64) {
        self.limits = limits
        phase = .opening(link)
        lastUsed = now
    }

    // MARK: What is so

    /// Nil once it is over.
    var link: Link? {
        switch phase {
        case .opening(let link), .connecting(let link, _), .connected(let link, _), .closing(let link, _, _):
            link
        case .closed: nil
        }
    }

    /// There was a session.
    var isConnected: Bool {
        switch phase {
        case .connected: true
        case .closing(_, let hadSession, _): hadSession
        case .opening, .connecting, .closed: false
        }
    }

    var isClosing: Bool {
        if case .closing = phase { true } else { false }
    }

    /// The link, or why there is none.
    func openLink() throws(OuroborosError) -> Link {
        if let link { return link }
        throw failure ?? .connectionClosed
    }

    /// Why a message is not taken any more.
    var refusal: OuroborosError? {
        switch phase {
        case .opening, .connecting, .connected: nil
        case .closing: .closedBeforeSending
        case .closed: failure ?? .closedBeforeSending
        }
    }

    private var failure: OuroborosError? {
        if case .closed(let failure) = phase { failure } else { nil }
    }

    /// When ``tick(now:isQuiet:)`` is to be called.
    var deadline: UInt64? {
        switch phase {
        case .connecting(_, let until): until
        case .connected(_, let idleAt): idleAt
        case .closing(_, _, let until): until
        case .opening, .closed: nil
        }
    }

    // MARK: What happens

    /// Packets can go out: the link, if it is to connect.
    mutating func opened(now: UInt64) -> Link? {
        guard case .opening(let link) = phase else { return nil }
        phase = .connecting(link, until: limits.connect.map { now + $0 })
        return link
    }

    /// There is a session.
    mutating func established(now: UInt64) {
        switch phase {
        case .opening(let link), .connecting(let link, _):
            lastUsed = now
            phase = .connected(link, idleAt: limits.idle.map { now + $0 })
        case .closing(let link, _, let until):
            phase = .closing(link, hadSession: true, until: until)
        case .connected, .closed: break
        }
    }

    /// A message came, went, or has its outcome.
    mutating func used(now: UInt64) {
        lastUsed = now
    }

    /// True unless it is over.
    mutating func close(now: UInt64) -> Bool {
        switch phase {
        case .opening(let link), .connecting(let link, _):
            phase = .closing(link, hadSession: false, until: now + limits.close)
        case .connected(let link, _):
            phase = .closing(link, hadSession: true, until: now + limits.close)
        case .closing: break
        case .closed: return false
        }
        return true
    }

    /// True the first time.
    mutating func end(_ failure: OuroborosError?) -> Bool {
        if case .closed = phase { return false }
        phase = .closed(failure)
        return true
    }

    /// What is due. A connection is quiet when nothing is under way or waits to be taken.
    mutating func tick(now: UInt64, isQuiet: Bool) -> Due? {
        guard let deadline, deadline <= now else { return nil }
        switch phase {
        case .connecting: return .giveUp
        case .closing: return .cutShort
        case .connected(let link, _):
            guard let idle = limits.idle else { return nil }
            if isQuiet, lastUsed + idle <= now { return .closeIdle }
            // What is under way counts as used when it is done.
            phase = .connected(link, idleAt: isQuiet ? lastUsed + idle : now + idle)
            return nil
        case .opening, .closed: return nil
        }
    }
}
