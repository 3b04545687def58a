/// The first packet of a connection's first session confirms it: a message, if one is given soon, else the engine's PING.
/// A task that waits for the connection takes a moment to give one.
struct FirstPacket {
    static let patience: UInt64 = 20

    /// Until when nothing is sent; nil once that is settled.
    private(set) var deadline: UInt64?

    mutating func welcomed(now: UInt64) {
        deadline = now + Self.patience
    }

    /// There is something to send, or the time is over.
    mutating func isHeld(now: UInt64, hasMore: Bool) -> Bool {
        guard let until = deadline else { return false }
        if hasMore || until <= now {
            deadline = nil
            return false
        }
        return true
    }

    mutating func release() {
        deadline = nil
    }
}
