internal import COuroboros

/// What a link counted.
public struct Statistics: Sendable, Hashable {
    /// Packets, dropped ones included.
    public var sent: UInt64 = 0
    public var received: UInt64 = 0
    public var retransmitted: UInt64 = 0
    public var timeouts: UInt64 = 0
    public var handshakes: UInt64 = 0
    /// Messages that the path did not carry, for a while or at all.
    public var stalled: UInt64 = 0
    public var drops: [DropReason: UInt64] = [:]
    /// Smoothed round trip in milliseconds; 0 without a sample.
    public var roundTripMilliseconds: UInt32 = 0
    /// The congestion window, in packets.
    public var congestionWindow: Int = 0
    /// Messages that are queued or in flight.
    public var pending: Int = 0

    public init() {}

    init(_ link: UnsafePointer<ouro_link>) {
        let stats = link.pointee.stats
        sent = UInt64(stats.sent)
        received = UInt64(stats.received)
        retransmitted = UInt64(stats.retransmitted)
        timeouts = UInt64(stats.timeouts)
        handshakes = UInt64(stats.handshakes)
        stalled = UInt64(stats.stalled)
        withUnsafeBytes(of: stats.drops) { bytes in
            let counts = bytes.bindMemory(to: UInt32.self)
            for reason in DropReason.allCases where counts[Int(reason.rawValue)] != 0 {
                drops[reason] = UInt64(counts[Int(reason.rawValue)])
            }
        }
        roundTripMilliseconds = ouro_link_rtt(link)
        congestionWindow = Int(link.pointee.window)
        pending = ouro_link_pending(link)
    }

    /// Adds another link's counts; the round trip and the window stay.
    public mutating func add(_ other: Statistics) {
        sent += other.sent
        received += other.received
        retransmitted += other.retransmitted
        timeouts += other.timeouts
        handshakes += other.handshakes
        stalled += other.stalled
        pending += other.pending
        for (reason, count) in other.drops {
            drops[reason, default: 0] += count
        }
    }
}
