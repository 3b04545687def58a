import CoreMetrics
import Ouroboros
import Synchronization

/// A server's counts as metrics of swift-metrics; ``OuroborosServer/update(_:)`` brings them up to date.
public final class ServerMetrics: Sendable {
    private let last = Mutex(ServerStatistics())
    private let links: LinkMetrics
    private let drops: DropMetrics
    private let messages: Counter
    private let messageBytes: Counter
    private let unknownDevices: Counter
    private let registryFailures: Counter
    private let devices: Meter
    private let sessions: Meter
    private let pendingSessions: Meter
    private let unconfirmed: Meter
    private let placesUsed: Meter

    /// The names, and what people read beside them.
    public static let descriptions: KeyValuePairs = [
        "ouroboros_packets_sent_total": "Packets sent in sessions.",
        "ouroboros_packets_received_total": "Packets received in sessions, those dropped later included.",
        "ouroboros_retransmissions_total": "Packets whose messages were sent again.",
        "ouroboros_timeouts_total": "Retransmission time-outs.",
        "ouroboros_handshakes_total": "Handshakes that were completed.",
        "ouroboros_drops_total": "Packets dropped, by reason.",
        "ouroboros_messages_received_total": "Messages received, before they are confirmed.",
        "ouroboros_message_bytes_received_total": "Bytes of the messages received.",
        "ouroboros_unknown_devices_total": "Handshakes begun by devices that are not known.",
        "ouroboros_registry_failures_total": "Failures of the store of devices.",
        "ouroboros_devices": "Devices with a session.",
        "ouroboros_sessions": "Sessions, those that a newer one replaces included.",
        "ouroboros_pending_sessions": "Handshakes that wait for their first packet.",
        "ouroboros_unconfirmed_packets": "Packets whose messages the application has not confirmed.",
        "ouroboros_places_used": "Places taken by messages that wait or are in flight.",
        "ouroboros_round_trip_seconds": "The smoothed round trip, at each message delivered to a device.",
    ]

    /// Without a factory they go to the one that the program has set up.
    public init(factory: (any MetricsFactory)? = nil) {
        let factory = factory ?? MetricsSystem.factory
        func counter(_ label: String) -> Counter { Counter(label: label, factory: factory) }
        func meter(_ label: String) -> Meter { Meter(label: label, factory: factory) }
        links = LinkMetrics(factory: factory)
        drops = DropMetrics(factory)
        messages = counter("ouroboros_messages_received_total")
        messageBytes = counter("ouroboros_message_bytes_received_total")
        unknownDevices = counter("ouroboros_unknown_devices_total")
        registryFailures = counter("ouroboros_registry_failures_total")
        devices = meter("ouroboros_devices")
        sessions = meter("ouroboros_sessions")
        pendingSessions = meter("ouroboros_pending_sessions")
        unconfirmed = meter("ouroboros_unconfirmed_packets")
        placesUsed = meter("ouroboros_places_used")
    }

    func update(_ now: ServerStatistics) {
        let old = last.withLock { last in
            defer { last = now }
            return last
        }
        links.update(now.links)
        drops.grow(from: old.drops, to: now.drops)
        messages.grow(from: old.messages, to: now.messages)
        messageBytes.grow(from: old.messageBytes, to: now.messageBytes)
        unknownDevices.grow(from: old.unknownDevices, to: now.unknownDevices)
        registryFailures.grow(from: old.registryFailures, to: now.registryFailures)
        devices.set(now.devices)
        sessions.set(now.sessions)
        pendingSessions.set(now.pendingSessions)
        unconfirmed.set(now.unconfirmed)
        placesUsed.set(now.placesUsed)
    }
}

extension OuroborosServer {
    /// Brings the metrics up to date: before each scrape, or every few seconds.
    public func update(_ metrics: ServerMetrics) async throws {
        metrics.update(try await statistics())
    }
}
