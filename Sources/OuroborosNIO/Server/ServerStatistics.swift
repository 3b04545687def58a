import Ouroboros

/// What a server counted.
public struct ServerStatistics: Sendable, Hashable {
    /// Of the links that are there, and of those that were.
    public var links = Statistics()
    /// Devices with a session.
    public var devices = 0
    public var sessions = 0
    public var pendingSessions = 0
    /// Messages that came, and their bytes.
    public var messages: UInt64 = 0
    public var messageBytes: UInt64 = 0
    /// Packets of messages that are not confirmed yet.
    public var unconfirmed = 0
    public var placesUsed = 0
    /// HELLOs of devices that are not known.
    public var unknownDevices: UInt64 = 0
    /// Devices whose session ended to make room for another's.
    public var displacedDevices: UInt64 = 0
    /// TCP connections: those that are there, those refused at a limit, those ended because they were slow, and
    /// those ended because what they sent was wrong.
    public var streams = 0
    public var refusedStreams: UInt64 = 0
    public var slowStreams: UInt64 = 0
    public var brokenStreams: UInt64 = 0
    /// Packets that belong to no link, by reason.
    public var drops: [DropReason: UInt64] = [:]
    /// The registry's failures.
    public var registryFailures: UInt64 = 0
    /// Packets that landed on the wrong worker or gateway and were passed on, and those that found a worker's queue full.
    public var passedOn: UInt64 = 0
    public var overflowed: UInt64 = 0
    /// Between this gateway and the others of its fleet.
    public var forwards = ForwardStatistics()

    /// Another worker's of the same server.
    mutating func add(_ other: ServerStatistics) {
        links.add(other.links)
        devices += other.devices
        sessions += other.sessions
        pendingSessions += other.pendingSessions
        messages += other.messages
        messageBytes += other.messageBytes
        unconfirmed += other.unconfirmed
        placesUsed += other.placesUsed
        unknownDevices += other.unknownDevices
        displacedDevices += other.displacedDevices
        streams += other.streams
        refusedStreams += other.refusedStreams
        slowStreams += other.slowStreams
        brokenStreams += other.brokenStreams
        drops.merge(other.drops, uniquingKeysWith: +)
        registryFailures += other.registryFailures
        passedOn += other.passedOn
        overflowed += other.overflowed
    }
}
