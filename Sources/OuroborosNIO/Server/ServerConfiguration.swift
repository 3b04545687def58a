import CoreMetrics
import Logging
import NIOCore
import NIOPosix
import Ouroboros

/// How a server behaves.
public struct ServerConfiguration: Sendable {
    /// Reach, sizes and times of each device's link.
    public var link: LinkConfiguration = {
        var link = LinkConfiguration.server
        link.placeLimit = 64
        return link
    }()
    /// Places for messages that wait or are in flight, of all devices; each has room for one packet.
    public var places = 1024
    /// How many packets of messages wait for the application: of one device, and of all. Where there was room, and
    /// the application is at work, what is read at once (``receiveBatch``) is taken as a whole.
    public var queuePerDevice = 64
    public var queueCapacity = 8192
    /// Devices that may be connected at once; one more ends the session of the longest silent one.
    public var maximumDevices = 20_000
    /// Handshakes that wait for their first packet.
    public var pendingSessions = 256
    /// Devices whose epochs far ahead are kept at hand for a minute, 32 KiB each.
    public var devicesAhead = 16
    /// TCP connections, in all and from one address; more are refused. A device has one, and for a minute the
    /// one before.
    public var maximumStreams = 4096
    public var streamsPerAddress = 256
    /// How long a connection may take to its first authentic packet, and how long a packet may stay half sent or
    /// a full connection untaken.
    public var streamHandshakeTimeout: Duration = .seconds(10)
    public var streamStallTimeout: Duration = .seconds(30)
    /// What makes it one of a fleet's gateways; nil for one that stands alone.
    public var fleet: FleetConfiguration?
    /// Event loops that share the addresses (SO_REUSEPORT), each with sockets of its own; places, queues and the other
    /// limits are each worker's.
    public var workers = 1
    /// How long closing waits for what is still under way.
    public var closeTimeout: Duration = .seconds(5)
    /// How many packets are read from the socket at once.
    public var receiveBatch = 32
    public var eventLoopGroup: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton
    public var logger: Logger?
    /// Where round trips are recorded; nil is what the program has set up with swift-metrics.
    public var metrics: (any MetricsFactory)?

    private static let mostWorkers = 64

    public init() {}

    func check() throws {
        for (value, name) in [
            (places, "places"), (queuePerDevice, "queuePerDevice"), (queueCapacity, "queueCapacity"),
            (maximumDevices, "maximumDevices"), (pendingSessions, "pendingSessions"),
            (maximumStreams, "maximumStreams"), (streamsPerAddress, "streamsPerAddress"),
        ] where value < 1 {
            throw OuroborosError(.invalidConfiguration, "\(name) is at least 1, not \(value)")
        }
        guard (1...Self.mostWorkers).contains(workers) else {
            throw OuroborosError(
                .invalidConfiguration, "workers is 1 to \(Self.mostWorkers), not \(workers)")
        }
        try fleet?.check()
        try link.check(isServer: true)
        guard link.sessions == 2 else {
            throw OuroborosError(
                .invalidConfiguration, "a server's link has 2 sessions, not \(link.sessions)")
        }
    }

    func acceptor(forStreams isStream: Bool) -> Acceptor.Configuration {
        var acceptor = Acceptor.Configuration()
        acceptor.reach = link.reach
        acceptor.maxBody = link.maxBody
        acceptor.isStream = isStream
        acceptor.pendingSessions = pendingSessions
        acceptor.devicesAhead = devicesAhead
        acceptor.tap = link.tap
        return acceptor
    }
}
