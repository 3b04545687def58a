internal import COuroboros

/// The settings of a link and the memory that it takes. Times are milliseconds.
public struct LinkConfiguration: Sendable, Hashable {
    /// How many message counters ahead this side can receive: 4 to 64.
    public var reach: Int
    /// The largest body that this side takes: 64 to 1200.
    public var maxBody: Int
    /// Full sessions that are held at once: a client 1 to 3, a server 2 or 3; over a stream 1 is enough.
    public var sessions: Int
    /// A client with fewer than 3 sessions keeps older ones as tails, which send but take no new message: 3 in all, unless
    /// it is over a stream.
    public var tails: Int
    /// Places for messages that wait or are in flight, when the link has a pool of its own.
    public var places: Int
    /// Places of a shared pool that this link may hold at once; 0 is all.
    public var placeLimit: Int = 0
    /// One session over a stream instead of datagrams.
    public var isStream = false
    /// Makes the next message's keys ahead, in idle time.
    public var preparesMessages = false
    /// A PING after so long a silence, at least 10; nil is off, 25,000 is usual.
    public var keepAlive: UInt32?
    /// The time-out while there is no sample: 50 to 8,000.
    public var firstTimeout: UInt32 = 2000
    /// How long an unreliable message may wait to be sent: 1 to 2^31 - 1.
    public var unreliableTimeToLive: UInt32 = 2000
    /// The age at which a session is replaced: at least 1,000; `UInt64.max` is never.
    public var rekeyAge: UInt64 = 86_400_000
    /// The number of packets after which it is, 16 to 2^32 - 2^20; nil is the latter. With `UInt64.max` the session ends
    /// where its counters do.
    public var rekeyPackets: UInt64?
    /// A server's: the silence after which a session ends: at least 100; `UInt64.max` is never.
    public var idleTimeout: UInt64 = 604_800_000
    /// A client's: the longest wait before a handshake after sessions that did not last: 1,000 to 300,000. A device that is
    /// never up for five minutes sets it below the time that it is up.
    public var shortSessionWait: UInt32 = 300_000
    /// A client's: nothing heard for so long, at least 1,000, and unreliable messages ask for an answer, so that a dead
    /// server is noticed.
    public var silenceLimit: UInt32 = 300_000

    /// Sees every packet, for a trace or a key log.
    public var tap: PacketTap?

    /// A client's usual settings.
    public static let client = LinkConfiguration(reach: 64, sessions: 3, tails: 0, places: 64)
    /// A server's usual settings, for each device.
    public static let server = LinkConfiguration(reach: 32, sessions: 2, tails: 0, places: 0)

    /// The same over a stream: one session, and counters that come in order.
    public var overStream: LinkConfiguration {
        var configuration = self
        configuration.isStream = true
        configuration.sessions = 1
        configuration.tails = 0
        return configuration
    }

    init(reach: Int, sessions: Int, tails: Int, places: Int) {
        self.reach = reach
        maxBody = Int(OURO_MAX_BODY)
        self.sessions = sessions
        self.tails = tails
        self.places = places
    }

    /// What the engine would refuse without a name (settings.c), or take for a default.
    package func check(isServer: Bool) throws(OuroborosError) {
        try Self.checkTerms(reach: reach, maxBody: maxBody)
        let most = Int(OURO_MAX_SESSIONS)
        try Self.check(sessions, in: (isServer && !isStream ? 2 : 1)...most, "sessions")
        try Self.check(tails, in: 0...most - 1, "tails")
        guard isServer || isStream || sessions + tails >= most else {
            throw OuroborosError(
                .invalidConfiguration,
                "a client's sessions and tails are \(most) or more together, not \(sessions + tails)")
        }
        try Self.check(places, in: 0...65_535, "places")
        try Self.check(placeLimit, in: 0...65_535, "placeLimit", "places")
        if let keepAlive {
            try Self.check(keepAlive, in: 10...UInt32.max, "keepAlive", "ms")
        }
        try Self.check(firstTimeout, in: 50...8000, "firstTimeout", "ms")
        try Self.check(unreliableTimeToLive, in: Self.timesToLive, "unreliableTimeToLive", "ms")
        try Self.check(rekeyAge, in: 1000...UInt64.max, "rekeyAge", "ms")
        if let rekeyPackets, rekeyPackets != .max {
            try Self.check(rekeyPackets, in: 16...Session.renewalCounter, "rekeyPackets", "packets")
        }
        try Self.check(idleTimeout, in: 100...UInt64.max, "idleTimeout", "ms")
        try Self.check(shortSessionWait, in: 1000...300_000, "shortSessionWait", "ms")
        try Self.check(silenceLimit, in: 1000...UInt32.max, "silenceLimit", "ms")
    }

    static let timesToLive: ClosedRange<UInt32> = 1...UInt32(Int32.max)

    /// What a handshake tells the other side.
    static func checkTerms(reach: Int, maxBody: Int) throws(OuroborosError) {
        try check(reach, in: Int(OURO_MIN_REACH)...Int(OURO_MAX_REACH), "reach", "messages")
        try check(maxBody, in: Int(OURO_MIN_MAX_BODY)...Int(OURO_MAX_BODY), "maxBody", "bytes")
    }

    static func check<Value: FixedWidthInteger>(
        _ value: Value, in range: ClosedRange<Value>, _ name: String, _ unit: String? = nil
    ) throws(OuroborosError) {
        guard !range.contains(value) else { return }
        let allowed =
            range.upperBound == .max
            ? "at least \(range.lowerBound)" : "\(range.lowerBound) to \(range.upperBound)"
        throw OuroborosError(
            .invalidConfiguration, "\(name) is \(allowed)\(unit.map { " " + $0 } ?? ""), not \(value)")
    }

    func engineSettings(role: ouro_role) -> ouro_settings {
        var settings = ouro_settings()
        settings.role = UInt8(role.rawValue)
        settings.reach = UInt8(reach)
        settings.max_body = UInt16(maxBody)
        settings.stream = isStream
        settings.place_limit = UInt16(placeLimit)
        settings.keep_alive_ms = keepAlive ?? 0
        settings.first_timeout_ms = firstTimeout
        settings.unreliable_ttl_ms = unreliableTimeToLive
        settings.rekey_age_ms = rekeyAge
        settings.rekey_packets = rekeyPackets ?? 0
        settings.idle_ms = idleTimeout
        settings.short_wait_ms = shortSessionWait
        settings.silence_ms = silenceLimit
        return settings
    }
}
