import Histogram
import OuroborosText

/// What was measured, and how.
struct BenchReport {
    let gateway: String?
    let transport: Bench.Transport
    let size: Int
    let clients: Int
    let inFlight: Int
    let echoes: Bool
    let result: BenchResult

    private var times: LatencyFigures { LatencyFigures(result.latencies) }

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
        times.add(to: &line)
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
            "microseconds \(timed): \(times.text)",
            "microseconds to connect: p50 \(Decimal.text(Double(result.connecting.median) / 1000, 1))",
        ]
    }
}
