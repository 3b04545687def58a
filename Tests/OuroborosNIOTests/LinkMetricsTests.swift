import Ouroboros
import OuroborosMetrics
import OuroborosNIO
import Testing

@Suite struct LinkMetricsTests {
    @Test func eachCountOfALinkIsAMetric() {
        let registry = PrometheusRegistry()
        let metrics = LinkMetrics(factory: registry)
        var statistics = Statistics()
        statistics.sent = 1
        statistics.received = 2
        statistics.retransmitted = 3
        statistics.timeouts = 4
        statistics.handshakes = 5
        statistics.stalled = 6
        statistics.drops = [.replay: 7]
        metrics.update(statistics)
        statistics.stalled = 9
        metrics.update(statistics)
        let lines = registry.render().split(separator: "\n")
        for line in [
            "ouroboros_packets_sent_total 1", "ouroboros_packets_received_total 2",
            "ouroboros_retransmissions_total 3", "ouroboros_timeouts_total 4", "ouroboros_handshakes_total 5",
            "ouroboros_messages_stalled_total 9", "ouroboros_drops_total{reason=\"replay\"} 7",
            "ouroboros_drops_total{reason=\"ahead\"} 0",
        ] {
            #expect(lines.contains(Substring(line)), "\(line)")
        }
    }
}
