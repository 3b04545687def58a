import CoreMetrics
import Logging
import NIOCore
import NIOPosix
import Ouroboros

/// How a client behaves.
public struct ClientConfiguration: Sendable {
    /// When messages that came are acknowledged.
    public enum Acknowledgement: Sendable, Hashable {
        /// Once they are taken from ``OuroborosConnection/messages``.
        case whenTaken
        /// Once ``OuroborosConnection/confirm(_:)`` says that they are safe.
        case whenConfirmed
    }

    /// Reach, sizes and times of the link.
    public var link = LinkConfiguration.client
    /// How many packets of messages wait for the application; more are answered with BUSY.
    public var queueCapacity = 64
    public var acknowledgement = Acknowledgement.whenTaken
    /// How long connecting may take; nil is the protocol's own give-up time, 45 seconds or a little more. With
    /// one the wait after sessions that did not last (`LinkConfiguration.shortSessionWait`) is at most half of it: else a program
    /// that gives up and starts again would never come to an end of it.
    public var connectTimeout: Duration?
    /// How long closing waits for what is still under way.
    public var closeTimeout: Duration = .seconds(10)
    /// A connection over which no message came or went for so long is closed; nil is never.
    public var idleTimeout: Duration?
    /// How many packets are read from the socket at once.
    public var receiveBatch = 8
    public var eventLoopGroup: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton
    public var logger: Logger?
    /// Where round trips are recorded; nil is what the program has set up with swift-metrics.
    public var metrics: (any MetricsFactory)?

    public init() {}
}
