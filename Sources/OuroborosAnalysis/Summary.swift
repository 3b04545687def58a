/// What a capture holds, summed up.
public struct Summary: Sendable {
    /// Of one direction.
    public struct Direction: Sendable, Hashable {
        /// Different messages, and different control packets.
        public internal(set) var messages: UInt64 = 0
        public internal(set) var controls: UInt64 = 0
        /// Counters that were used and never seen: lost before the place of the capture.
        public internal(set) var missingMessages: UInt64 = 0
        public internal(set) var missingControls: UInt64 = 0
        /// Messages sent again: most were lost after the place of the capture, or their acknowledgements were.
        public internal(set) var retransmissions: UInt64 = 0

        /// From 0 to 1.
        public var loss: Double {
            let missing = Double(missingMessages) + Double(missingControls)
            let all = missing + Double(messages) + Double(controls)
            return all == 0 ? 0 : missing / all
        }

        mutating func add(_ other: Direction) {
            messages += other.messages
            controls += other.controls
            missingMessages += other.missingMessages
            missingControls += other.missingControls
            retransmissions += other.retransmissions
        }
    }

    public internal(set) var frames: UInt64 = 0
    public internal(set) var packets: UInt64 = 0
    public internal(set) var bytes: UInt64 = 0
    /// Frames with nothing of Ouroboros in them, and parts of IP packets, which are not put together.
    public internal(set) var others: UInt64 = 0
    public internal(set) var fragments: UInt64 = 0
    public internal(set) var types: [PacketType: UInt64] = [:]
    public internal(set) var flaws: [Flaw: UInt64] = [:]
    public internal(set) var anomalies: [Anomaly.Kind: UInt64] = [:]

    /// Different HELLOs, those sent again, and those that the capture holds no WELCOME for.
    public internal(set) var hellos: UInt64 = 0
    public internal(set) var hellosAgain: UInt64 = 0
    public internal(set) var unanswered: UInt64 = 0
    public internal(set) var challenges: UInt64 = 0
    /// Sessions whose WELCOME was seen; those that went on to a first packet of the client; those without handshake.
    public internal(set) var handshakes: UInt64 = 0
    public internal(set) var confirmed: UInt64 = 0
    public internal(set) var unknownSessions: UInt64 = 0
    public internal(set) var opened: UInt64 = 0

    public internal(set) var fromClients = Direction()
    public internal(set) var fromServers = Direction()

    /// HELLO to WELCOME, PING to PONG, and, with keys, DATA to its acknowledgement.
    public internal(set) var handshakeTimes = RoundTrips()
    public internal(set) var pingTimes = RoundTrips()
    public internal(set) var ackTimes = RoundTrips()
}
