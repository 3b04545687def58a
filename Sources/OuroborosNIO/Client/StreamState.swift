import Ouroboros

/// What a client knows of the stream under it: each has one session, and a lost one is followed by another.
struct StreamState {
    private enum Contact {
        case held
        case lost(unreachableAt: UInt64)
        case unreachable
    }

    /// How long a server that is not reached may be missed, as over datagrams.
    static let giveUp: Duration = .seconds(45)

    private var contact = Contact.held
    private var closedBy: CloseReason?
    /// The server said that it shuts down: the next stream is not tried at once.
    private(set) var isAfterShutdown = false

    /// The session was closed: the stream is to be ended, too, once the last packet is written.
    mutating func sessionClosed(_ reason: CloseReason) {
        closedBy = reason
    }

    /// Why the stream is to be ended now; once.
    mutating func takeClosed() -> CloseReason? {
        defer { closedBy = nil }
        if closedBy == .shutdown {
            isAfterShutdown = true
        }
        return closedBy
    }

    /// The stream broke, and its session with it.
    mutating func broke() {
        closedBy = nil
    }

    /// Another stream is tried.
    mutating func missed(now: UInt64) {
        guard case .held = contact else { return }
        contact = .lost(unreachableAt: now + Self.giveUp.milliseconds)
    }

    /// There is a session again: true if the server was unreachable.
    mutating func established() -> Bool {
        defer { contact = .held }
        isAfterShutdown = false
        if case .unreachable = contact { return true }
        return false
    }

    var deadline: UInt64? {
        if case .lost(let unreachableAt) = contact { unreachableAt } else { nil }
    }

    /// True when the server counts as unreachable from now on.
    mutating func tick(now: UInt64) -> Bool {
        guard let deadline, deadline <= now else { return false }
        contact = .unreachable
        return true
    }
}
