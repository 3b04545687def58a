import CoreMetrics
import OuroborosStore

/// What one sink counts.
struct SinkMetrics: Sendable {
    let delivered: Counter
    let retries: Counter
    let failures: Counter
    let refused: Counter
    let lag: Meter
    let dead: Meter

    init(_ sink: String, factory: any MetricsFactory) {
        let label = [("sink", sink)]
        delivered = Counter(label: "ouroboros_sink_delivered_total", dimensions: label, factory: factory)
        retries = Counter(label: "ouroboros_sink_retries_total", dimensions: label, factory: factory)
        failures = Counter(label: "ouroboros_sink_failures_total", dimensions: label, factory: factory)
        refused = Counter(label: "ouroboros_sink_refused_total", dimensions: label, factory: factory)
        dead = Meter(label: "ouroboros_sink_dead_letters", dimensions: label, factory: factory)
        lag = Meter(label: "ouroboros_sink_lag_messages", dimensions: label, factory: factory)
    }

    /// The names, and what people read beside them.
    static let descriptions: KeyValuePairs = [
        "ouroboros_sink_delivered_total": "Messages that a sink has taken, those it took again included.",
        "ouroboros_sink_retries_total": "Batches that were given to a sink again.",
        "ouroboros_sink_failures_total": "Batches that a sink did not take.",
        "ouroboros_sink_refused_total": "Messages that a sink refused for good, which were set aside.",
        "ouroboros_sink_dead_letters": "Messages that a sink refused for good and that are kept.",
        "ouroboros_sink_lag_messages": "Messages in the spool that a sink has not passed.",
    ]
}

/// What the spool counts when sinks read it.
package struct SpoolMetrics: Sendable {
    private let messages: Meter
    private let bytes: Meter
    private let full: Meter
    private let timesFull: Counter

    package init(factory: any MetricsFactory) {
        messages = Meter(label: "ouroboros_spool_messages", factory: factory)
        bytes = Meter(label: "ouroboros_spool_bytes", factory: factory)
        full = Meter(label: "ouroboros_spool_full", factory: factory)
        timesFull = Counter(label: "ouroboros_spool_full_total", factory: factory)
        full.set(0)
    }

    static let descriptions: KeyValuePairs = [
        "ouroboros_spool_messages": "Messages in the spool that not all sinks have passed.",
        "ouroboros_spool_bytes": "Their bytes.",
        "ouroboros_spool_full": "1 while devices wait because the spool is full.",
        "ouroboros_spool_full_total": "Times that the spool became full.",
    ]

    func update(_ load: SpoolLoad) {
        messages.set(load.messages)
        bytes.set(load.bytes)
    }

    func note(isFull: Bool) {
        full.set(isFull ? 1 : 0)
        if isFull {
            timesFull.increment()
        }
    }
}
