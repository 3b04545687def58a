import OuroborosAnalysis
import OuroborosText

/// The statistics at the end, by name.
struct SummaryText {
    private enum Value {
        case count(UInt64)
        case number(Double, decimals: Int)
        case text(String)
    }

    /// `name` is what programs read, `label` what people do.
    private var entries: [(name: String, label: String, value: Value)] = []

    init(_ summary: Summary, problem: String?) {
        count("frames", "frames", summary.frames)
        count("packets", "packets of Ouroboros", summary.packets)
        count("bytes", "bytes of them", summary.bytes)
        count("others", "frames of others", summary.others)
        count("fragments", "IP fragments (left out)", summary.fragments, unlessZero: true)
        for type in PacketType.allCases {
            count("type_\(type.name.lowercased())", type.name, summary.types[type] ?? 0, unlessZero: true)
        }
        count("hellos", "handshakes begun (HELLO)", summary.hellos)
        count("hellos_again", "HELLO sent again", summary.hellosAgain, unlessZero: true)
        count("unanswered", "HELLO unanswered", summary.unanswered, unlessZero: true)
        count("challenges", "challenges", summary.challenges, unlessZero: true)
        count("handshakes", "sessions begun (WELCOME)", summary.handshakes)
        count("confirmed", "sessions confirmed", summary.confirmed)
        count("unknown_sessions", "sessions without handshake", summary.unknownSessions, unlessZero: true)
        count("opened", "packets opened", summary.opened, unlessZero: true)
        direction("c2s", "client to server", summary.fromClients)
        direction("s2c", "server to client", summary.fromServers)
        times("handshake", "HELLO to WELCOME", summary.handshakeTimes)
        times("ping", "PING to PONG", summary.pingTimes)
        times("ack", "DATA to its acknowledgement", summary.ackTimes)
        for flaw in Flaw.allCases {
            count("flaw_\(flaw.name)", "malformed: \(flaw.text)", summary.flaws[flaw] ?? 0, unlessZero: true)
        }
        for kind in Anomaly.Kind.allCases {
            let name = "anomaly_" + kind.rawValue.split(separator: " ").joined(separator: "_")
            count(name, kind.rawValue, summary.anomalies[kind] ?? 0, unlessZero: true)
        }
        if let problem { entries.append(("truncated", "the capture ends early", .text(problem))) }
    }

    private mutating func count(_ name: String, _ label: String, _ value: UInt64, unlessZero: Bool = false) {
        if value > 0 || !unlessZero { entries.append((name, label, .count(value))) }
    }

    private mutating func direction(_ name: String, _ label: String, _ direction: Summary.Direction) {
        count("\(name)_messages", "\(label): messages", direction.messages)
        count("\(name)_controls", "\(label): control packets", direction.controls)
        count("\(name)_missing_messages", "\(label): messages not seen", direction.missingMessages)
        count("\(name)_missing_controls", "\(label): control packets not seen", direction.missingControls)
        count("\(name)_retransmissions", "\(label): retransmissions", direction.retransmissions)
        entries.append(
            ("\(name)_loss_percent", "\(label): loss, %", .number(direction.loss * 100, decimals: 2)))
    }

    private mutating func times(_ name: String, _ label: String, _ times: RoundTrips) {
        guard times.count > 0 else { return }
        count("\(name)_samples", "\(label): samples", times.count)
        for (part, time) in [("min", times.least), ("avg", times.average), ("max", times.most)] {
            entries.append(
                ("\(name)_\(part)_ms", "\(label): \(part), ms", .number(Double(time) / 1000, decimals: 3)))
        }
    }

    var json: [UInt8] {
        var line = JSONLine()
        line.add("statistics", 1)
        for entry in entries {
            switch entry.value {
            case .count(let count): line.add(entry.name, count)
            case .number(let number, let decimals): line.add(entry.name, number, decimals: decimals)
            case .text(let text): line.add(entry.name, text)
            }
        }
        return line.finished()
    }

    var lines: [String] {
        entries.map { entry in
            switch entry.value {
            case .count(let count): "\(entry.label): \(count)"
            case .text(let text): "\(entry.label): \(text)"
            case .number(let number, let decimals): "\(entry.label): \(Decimal.text(number, decimals))"
            }
        }
    }
}
