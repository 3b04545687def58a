import CoreMetrics
import OuroborosStore

/// What became of messages to devices, and how much waits.
package struct DownlinkMetrics: Sendable {
    private let outcomes: [DownlinkState: Counter]
    private let messages: Meter
    private let bytes: Meter

    package init(factory: any MetricsFactory) {
        let states: [DownlinkState] = [.delivered, .failed, .unknown]
        outcomes = Dictionary(
            uniqueKeysWithValues: states.map { state in
                let label = [("outcome", state.rawValue)]
                return (
                    state, Counter(label: "ouroboros_downlink_total", dimensions: label, factory: factory)
                )
            })
        messages = Meter(label: "ouroboros_downlink_waiting_messages", factory: factory)
        bytes = Meter(label: "ouroboros_downlink_waiting_bytes", factory: factory)
    }

    package static let descriptions: KeyValuePairs = [
        "ouroboros_downlink_total": "Messages to devices, by what became of them.",
        "ouroboros_downlink_waiting_messages": "Messages to devices that wait or are under way.",
        "ouroboros_downlink_waiting_bytes": "Their bytes.",
    ]

    func count(_ state: DownlinkState) {
        outcomes[state]?.increment()
    }

    func update(_ load: SpoolLoad) {
        messages.set(load.messages)
        bytes.set(load.bytes)
    }
}
