import Histogram
import OuroborosText

/// What a histogram of nanoseconds says, in microseconds.
struct LatencyFigures {
    let values: [(name: String, microseconds: Double)]

    private static let percentiles: [(name: String, value: Double)] = [
        ("p50", 50), ("p90", 90), ("p99", 99), ("p99_9", 99.9),
    ]

    /// Nothing, when nothing was recorded.
    init(_ times: Histogram<UInt64>) {
        guard times.totalCount > 0 else {
            values = []
            return
        }
        let quantiles = Self.percentiles.map {
            ($0.name, Double(times.valueAtPercentile($0.value)) / 1000)
        }
        values =
            [("min", Double(times.min) / 1000), ("mean", times.mean / 1000)] + quantiles
            + [("max", Double(times.max) / 1000)]
    }

    func add(to line: inout JSONLine, prefix: String = "") {
        for value in values { line.add("\(prefix)\(value.name)_us", value.microseconds, decimals: 1) }
    }

    var text: String {
        values.map { "\($0.name) \(Decimal.text($0.microseconds, 1))" }.joined(separator: ", ")
    }
}
