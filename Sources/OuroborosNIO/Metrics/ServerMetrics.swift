import CoreMetrics
import LibC
import Ouroboros

/// A server's counts as metrics of swift-metrics; ``OuroborosServer/update(_:)`` brings them up to date.
public final class ServerMetrics: Sendable {
    private let last = Locked(ServerStatistics())
    private let links: LinkMetrics
    private let drops: DropMetrics
    private let messages: Counter
    private let messageBytes: Counter
    private let unknownDevices: Counter
    private let displacedDevices: Counter
    private let refusedStreams: Counter
    private let slowStreams: Counter
    private let brokenStreams: Counter
    private let registryFailures: Counter
    private let passedOn: Counter
    private let overflowed: Counter
    private let forwardsSent: Counter
    private let forwardsReceived: Counter
    private let forwardsWithoutPeer: Counter
    private let forwardDrops: DropMetrics
    private let devices: Meter
    private let sessions: Meter
    private let pendingSessions: Meter
    private let streams: Meter
    private let unconfirmed: Meter
    private let placesUsed: Meter

    /// The names, and what people read beside them.
    public static let descriptions: KeyValuePairs = [
        "ouroboros_packets_sent_total": "Packets sent in sessions.",
        "ouroboros_packets_received_total": "Packets received in sessions, those dropped later included.",
        "ouroboros_retransmissions_total": "Packets whose messages were sent again.",
        "ouroboros_timeouts_total": "Retransmission time-outs.",
        "ouroboros_handshakes_total": "Handshakes that were completed.",
        "ouroboros_messages_stalled_total":
            "Messages to devices that did not get through, though others did: probably too large for the path.",
        "ouroboros_drops_total": "Packets dropped, by reason.",
        "ouroboros_messages_received_total": "Messages received, before they are confirmed.",
        "ouroboros_message_bytes_received_total": "Bytes of the messages received.",
        "ouroboros_unknown_devices_total": "Handshakes begun by devices that are not known.",
        "ouroboros_displaced_devices_total": "Devices whose session ended to make room for another's.",
        "ouroboros_streams_refused_total": "TCP connections refused at a limit.",
        "ouroboros_streams_slow_total": "TCP connections ended because they were slow.",
        "ouroboros_streams_broken_total": "TCP connections ended because what they sent was wrong.",
        "ouroboros_streams": "TCP connections.",
        "ouroboros_registry_failures_total": "Failures of the store of devices.",
        "ouroboros_packets_passed_on_total": "Packets that landed on the wrong worker or gateway, passed on.",
        "ouroboros_passed_packets_lost_total": "Packets to be passed on that found a queue full.",
        "ouroboros_forwards_sent_total":
            "Packets passed on to other gateways, and answers sent through them.",
        "ouroboros_forwards_received_total":
            "Packets that other gateways passed on, and answers to send for them.",
        "ouroboros_forwards_without_peer_total": "Packets for gateways that are no peers.",
        "ouroboros_forward_drops_total": "What came to the fleet's socket and was dropped, by reason.",
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
        forwardDrops = DropMetrics(factory, label: "ouroboros_forward_drops_total")
        messages = counter("ouroboros_messages_received_total")
        messageBytes = counter("ouroboros_message_bytes_received_total")
        unknownDevices = counter("ouroboros_unknown_devices_total")
        displacedDevices = counter("ouroboros_displaced_devices_total")
        refusedStreams = counter("ouroboros_streams_refused_total")
        slowStreams = counter("ouroboros_streams_slow_total")
        brokenStreams = counter("ouroboros_streams_broken_total")
        registryFailures = counter("ouroboros_registry_failures_total")
        passedOn = counter("ouroboros_packets_passed_on_total")
        overflowed = counter("ouroboros_passed_packets_lost_total")
        forwardsSent = counter("ouroboros_forwards_sent_total")
        forwardsReceived = counter("ouroboros_forwards_received_total")
        forwardsWithoutPeer = counter("ouroboros_forwards_without_peer_total")
        devices = meter("ouroboros_devices")
        sessions = meter("ouroboros_sessions")
        pendingSessions = meter("ouroboros_pending_sessions")
        streams = meter("ouroboros_streams")
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
        displacedDevices.grow(from: old.displacedDevices, to: now.displacedDevices)
        refusedStreams.grow(from: old.refusedStreams, to: now.refusedStreams)
        slowStreams.grow(from: old.slowStreams, to: now.slowStreams)
        brokenStreams.grow(from: old.brokenStreams, to: now.brokenStreams)
        registryFailures.grow(from: old.registryFailures, to: now.registryFailures)
        passedOn.grow(from: old.passedOn, to: now.passedOn)
        overflowed.grow(
            from: old.overflowed + old.forwards.overflowed, to: now.overflowed + now.forwards.overflowed)
        forwardsSent.grow(from: old.forwards.sent, to: now.forwards.sent)
        forwardsReceived.grow(from: old.forwards.received, to: now.forwards.received)
        forwardsWithoutPeer.grow(from: old.forwards.withoutPeer, to: now.forwards.withoutPeer)
        forwardDrops.grow(from: old.forwards.drops, to: now.forwards.drops)
        devices.set(now.devices)
        sessions.set(now.sessions)
        pendingSessions.set(now.pendingSessions)
        streams.set(now.streams)
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
