import Ouroboros
import OuroborosAnalysis
import OuroborosText

/// Prints reports and statistics, for people or for programs.
final class AnalysisWriter {
    private let isJSON: Bool
    private let isInteractive: Bool
    private var pending: [UInt8] = []

    private static let chunk = 1 << 16

    init(isJSON: Bool, isInteractive: Bool) {
        self.isJSON = isJSON
        self.isInteractive = isInteractive
    }

    func flush() throws {
        guard !pending.isEmpty else { return }
        try Output.write(pending)
        pending.removeAll(keepingCapacity: true)
    }

    private func put(_ line: [UInt8]) throws {
        pending += line
        pending.append(UInt8(ascii: "\n"))
        if isInteractive || pending.count >= Self.chunk { try flush() }
    }

    private func put(_ line: String) throws {
        try put(Array(line.utf8))
    }

    // MARK: Packets

    func write(_ report: PacketReport) throws {
        guard !isJSON else { return try put(json(report)) }
        var line = "\(report.time.text) \(report.source) > \(report.destination) "
        if report.isStream { line += "TCP " }
        line += report.packet.line(size: report.size, tellsFlaw: false)
        if !report.anomalies.isEmpty {
            line += " [" + report.anomalies.map(\.text).joined(separator: "; ") + "]"
        }
        try put(line)
        if let body = report.body {
            for line in BodyText.lines(body) { try put("    " + line) }
        }
    }

    private func json(_ report: PacketReport) -> [UInt8] {
        var line = JSONLine()
        line.add("time", report.time.text)
        line.add("source", "\(report.source)")
        line.add("destination", "\(report.destination)")
        line.add("transport", report.isStream ? "tcp" : "udp")
        line.add("size", report.size)
        if let isFromClient = report.isFromClient { line.add("direction", isFromClient ? "c2s" : "s2c") }
        if let header = report.packet.header {
            line.add("type", header.typeName)
            line.add("flags", header.flagNames)
            line.add("session", Hex.string(UInt64(header.sessionID), digits: 8))
            line.add(header.type?.isHandshake == true ? "epoch" : "counter", header.counter)
            line.add("length", header.length)
        }
        if let device = report.device { line.add("device", "\(device)") }
        if let flaw = report.packet.flaw { line.add("malformed", flaw.name) }
        line.add("anomalies", report.anomalies.map(\.kind.rawValue))
        line.add("details", report.anomalies.map(\.detail))
        if let body = report.body { BodyText.add(body, to: &line) }
        return line.finished()
    }

    // MARK: Statistics

    func write(_ summary: Summary, problem: String?) throws {
        let lines = SummaryText(summary, problem: problem)
        if isJSON {
            try put(lines.json)
        } else {
            try put("")
            for line in lines.lines { try put(line) }
        }
        try flush()
    }
}
