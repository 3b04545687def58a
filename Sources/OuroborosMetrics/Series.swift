import CoreMetrics
import LibC

/// The values behind one name and its labels.
protocol Series: AnyObject, Sendable {
    static var type: String { get }

    func render(_ name: String, _ labels: Labels, into text: inout String)
}

/// Numbers as Prometheus reads them.
enum Number {
    static func text(_ value: Double) -> String {
        if value.isNaN {
            return "NaN"
        }
        guard value.isFinite else { return value < 0 ? "-Inf" : "+Inf" }
        // Whole numbers without a decimal point, while they are exact.
        return Int64(exactly: value).map { abs(value) < 1e15 ? String($0) : nil }.flatMap(\.self)
            ?? "\(value)"
    }
}

final class CounterSeries: Series {
    static let type = "counter"
    private let value = Locked(0.0)

    func render(_ name: String, _ labels: Labels, into text: inout String) {
        text += "\(name)\(labels.rendered()) \(Number.text(value.withLock(\.self)))\n"
    }
}

extension CounterSeries: CounterHandler, FloatingPointCounterHandler {
    func increment(by amount: Int64) {
        increment(by: Double(amount))
    }

    /// A counter never falls.
    func increment(by amount: Double) {
        guard amount > 0 else { return }
        value.withLock { $0 += amount }
    }

    func reset() {
        value.withLock { $0 = 0 }
    }
}

final class GaugeSeries: Series {
    static let type = "gauge"
    private let value = Locked(0.0)

    func render(_ name: String, _ labels: Labels, into text: inout String) {
        text += "\(name)\(labels.rendered()) \(Number.text(value.withLock(\.self)))\n"
    }
}

extension GaugeSeries: MeterHandler, RecorderHandler {
    func set(_ new: Int64) { set(Double(new)) }
    func set(_ new: Double) { value.withLock { $0 = new } }
    func increment(by amount: Double) { value.withLock { $0 += amount } }
    func decrement(by amount: Double) { value.withLock { $0 -= amount } }
    func record(_ new: Int64) { set(Double(new)) }
    func record(_ new: Double) { set(new) }
}

final class HistogramSeries: Series {
    static let type = "histogram"

    private struct State {
        var counts: [UInt64]
        var count: UInt64 = 0
        var sum = 0.0
    }

    private let bounds: [Double]
    private let state: Locked<State>

    init(_ bounds: [Double]) {
        self.bounds = bounds
        state = Locked(State(counts: Array(repeating: 0, count: bounds.count)))
    }

    func render(_ name: String, _ labels: Labels, into text: inout String) {
        let state = state.withLock(\.self)
        var below: UInt64 = 0
        for (bound, count) in zip(bounds, state.counts) {
            below += count
            text += "\(name)_bucket\(labels.rendered(adding: "le=\"\(Number.text(bound))\"")) \(below)\n"
        }
        text += "\(name)_bucket\(labels.rendered(adding: "le=\"+Inf\"")) \(state.count)\n"
        text += "\(name)_sum\(labels.rendered()) \(Number.text(state.sum))\n"
        text += "\(name)_count\(labels.rendered()) \(state.count)\n"
    }
}

extension HistogramSeries: RecorderHandler, TimerHandler {
    func record(_ value: Int64) {
        record(Double(value))
    }

    func record(_ value: Double) {
        guard !value.isNaN else { return }
        state.withLock { state in
            state.count += 1
            state.sum += value
            if let bucket = bounds.firstIndex(where: { value <= $0 }) {
                state.counts[bucket] += 1
            }
        }
    }

    func recordNanoseconds(_ duration: Int64) {
        record(Double(duration) / 1e9)
    }
}
