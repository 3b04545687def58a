import CommandKit
import Histogram

/// What was measured, and how.
struct BenchReport {
    let gateway: String?
    let transport: Bench.Transport
    let size: Int
    let clients: Int
    let inFlight: Int
    let echoes: Bool
    let result: BenchResult

    private static let percentiles: [(name: String, value: Double)] = [
        ("p50", 50), ("p90", 90), ("p99", 99), ("p99_9", 99.9),
    ]

    private var times: [(name: String, microseconds: Double)] {
        let times = result.latencies
        let quantiles = Self.percentiles.map {
            ($0.name, Double(times.valueAtPercentile($0.value)) / 1000)
        }
        return [("min", Double(times.min) / 1000), ("mean", times.mean / 1000)] + quantiles
            + [("max", Double(times.max) / 1000)]
    }

    var json: [UInt8] {
        var line = JSONLine()
        line.add("gateway", gateway ?? "in process")
        line.add("transport", transport.rawValue)
        line.add("size", size)
        line.add("clients", clients)
        line.add("in_flight", inFlight)
        line.add("timed", echoes ? "echo" : "delivery")
        line.add("messages", result.messages)
        line.add("seconds", result.seconds, decimals: 3)
        line.add("messages_per_second", result.rate, decimals: 1)
        line.add("bytes_per_second", result.rate * Double(size), decimals: 0)
        for time in times { line.add("\(time.name)_us", time.microseconds, decimals: 1) }
        line.add("connect_p50_us", Double(result.connecting.median) / 1000, decimals: 1)
        return line.finished()
    }

    var lines: [String] {
        let place = "\(transport.rawValue) \(gateway.map { "to \($0)" } ?? "in this process")"
        let timed = echoes ? "until the copy was back" : "until delivered"
        return [
            "\(place): \(clients) clients, \(inFlight) in flight each, \(size) bytes a message",
            "\(result.messages) messages in \(Decimal.text(result.seconds, 3)) s: "
                + "\(Decimal.text(result.rate, 0)) messages/s",
            "microseconds \(timed): "
                + times.map { "\($0.name) \(Decimal.text($0.microseconds, 1))" }.joined(separator: ", "),
            "microseconds to connect: p50 \(Decimal.text(Double(result.connecting.median) / 1000, 1))",
        ]
    }
}
