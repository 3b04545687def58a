import Histogram
import Ouroboros
import OuroborosText

/// What a run of a fleet came to.
struct FleetResult: Sendable {
    let counts: FleetCounts
    let deliveries: Histogram<UInt64>
    let seconds: Double
    let connecting: Histogram<UInt64>
    let connectSeconds: Double
    /// Of this process, once all were connected.
    let residentBytes: Int?
    let bytesPerDevice: Int?

    /// Nil when every device connected and every message was delivered.
    var problem: OuroborosError? {
        guard let first = counts.firstProblem else { return nil }
        return OuroborosError(
            first.code,
            "\(counts.notConnected) devices did not connect, \(counts.unknown + counts.failed) messages were not "
                + "known to be delivered; the first time: \(first.message)")
    }
}

struct FleetReport {
    let gateway: String
    let devices: Int
    let sockets: Int
    let size: Int
    let rate: Double
    let result: FleetResult

    private var deliveredRate: Double {
        result.seconds > 0 ? Double(result.counts.delivered) / result.seconds : 0
    }

    private var handshakeRate: Double {
        result.connectSeconds > 0 ? Double(result.counts.connected) / result.connectSeconds : 0
    }

    var json: [UInt8] {
        let counts = result.counts
        var line = JSONLine()
        line.add("gateway", gateway)
        line.add("devices", devices)
        line.add("sockets", sockets)
        line.add("size", size)
        line.add("rate", rate, decimals: 3)
        line.add("connected", counts.connected)
        line.add("not_connected", counts.notConnected)
        line.add("handshakes_per_second", handshakeRate, decimals: 1)
        LatencyFigures(result.connecting).add(to: &line, prefix: "connect_")
        line.add("seconds", result.seconds, decimals: 3)
        line.add("delivered", counts.delivered)
        line.add("late", counts.late)
        line.add("unknown", counts.unknown)
        line.add("failed", counts.failed)
        line.add("delivered_per_second", deliveredRate, decimals: 1)
        LatencyFigures(result.deliveries).add(to: &line)
        line.add("reconnects", counts.reconnects)
        line.add("retransmissions", counts.retransmissions)
        if let bytes = result.residentBytes { line.add("resident_bytes", bytes) }
        if let bytes = result.bytesPerDevice { line.add("bytes_per_device", bytes) }
        return line.finished()
    }

    var lines: [String] {
        let counts = result.counts
        var lines = [
            "\(counts.connected) of \(devices) devices connected to \(gateway) over \(sockets) sockets, "
                + "\(counts.notConnected) failed: \(Decimal.text(handshakeRate, 0)) handshakes/s",
            "\(counts.delivered) messages of \(size) bytes delivered in \(Decimal.text(result.seconds, 3)) s: "
                + "\(Decimal.text(deliveredRate, 1)) messages/s, \(counts.late) late, "
                + "\(counts.unknown) unknown, \(counts.failed) failed",
            "\(counts.reconnects) reconnects, \(counts.retransmissions) packets sent again",
        ]
        for (name, times) in [("connect", result.connecting), ("deliver", result.deliveries)]
        where times.totalCount > 0 {
            lines.append("microseconds to \(name): \(LatencyFigures(times).text)")
        }
        if let bytes = result.residentBytes, let each = result.bytesPerDevice {
            lines.append("this process: \(bytes / 1024) KiB resident, \(each) bytes a device")
        }
        return lines
    }
}
