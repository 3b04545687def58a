import CoreMetrics
import LibC
import Ouroboros

/// A link's counts as metrics of swift-metrics, named as Prometheus has it. No metric names a device: their
/// number does not grow with the fleet.
public final class LinkMetrics: Sendable {
    private let last = Locked(Statistics())
    private let sent: Counter
    private let received: Counter
    private let retransmitted: Counter
    private let timeouts: Counter
    private let handshakes: Counter
    private let stalled: Counter
    private let drops: DropMetrics

    /// Without a factory they go to the one that the program has set up.
    public init(factory: (any MetricsFactory)? = nil) {
        let factory = factory ?? MetricsSystem.factory
        sent = Counter(label: "ouroboros_packets_sent_total", factory: factory)
        received = Counter(label: "ouroboros_packets_received_total", factory: factory)
        retransmitted = Counter(label: "ouroboros_retransmissions_total", factory: factory)
        timeouts = Counter(label: "ouroboros_timeouts_total", factory: factory)
        handshakes = Counter(label: "ouroboros_handshakes_total", factory: factory)
        stalled = Counter(label: "ouroboros_messages_stalled_total", factory: factory)
        drops = DropMetrics(factory)
    }

    /// Counts what happened since the last update.
    public func update(_ now: Statistics) {
        let old = last.withLock { last in
            defer { last = now }
            return last
        }
        sent.grow(from: old.sent, to: now.sent)
        received.grow(from: old.received, to: now.received)
        retransmitted.grow(from: old.retransmitted, to: now.retransmitted)
        timeouts.grow(from: old.timeouts, to: now.timeouts)
        handshakes.grow(from: old.handshakes, to: now.handshakes)
        stalled.grow(from: old.stalled, to: now.stalled)
        drops.grow(from: old.drops, to: now.drops)
    }
}

/// One counter a reason, there from the start: a rate of something that never happened is 0, not nothing.
struct DropMetrics: Sendable {
    private let counters: [DropReason: Counter]

    init(_ factory: any MetricsFactory, label: String = "ouroboros_drops_total") {
        counters = Dictionary(
            uniqueKeysWithValues: DropReason.allCases.map { reason in
                let dimensions = [("reason", reason.metricsName)]
                return (
                    reason,
                    Counter(label: label, dimensions: dimensions, factory: factory)
                )
            })
    }

    func grow(from old: [DropReason: UInt64], to new: [DropReason: UInt64]) {
        for (reason, counter) in counters {
            counter.grow(from: old[reason] ?? 0, to: new[reason] ?? 0)
        }
    }
}

extension DropReason {
    /// As metrics and people name it.
    public var metricsName: String {
        self == .unknownSession ? "unknown_session" : "\(self)"
    }
}

extension Counter {
    /// A count that fell, of a link that began anew, adds nothing.
    func grow(from old: UInt64, to new: UInt64) {
        if new > old {
            increment(by: Int64(clamping: new - old))
        }
    }
}

extension Timer {
    static func roundTrip(_ factory: (any MetricsFactory)?) -> Timer {
        Timer(label: "ouroboros_round_trip_seconds", factory: factory ?? MetricsSystem.factory)
    }
}
