import Ouroboros
import OuroborosAnalysis
import OuroborosText

/// What was opened. It is printed only when payloads were asked for.
enum BodyText {
    static func lines(_ body: OpenedBody) -> [String] {
        var lines: [String] = []
        if let acks = body.acks {
            lines.append(
                "acknowledges \(acks.highest), bitmap \(Hex.string(acks.bitmap, digits: 16))")
        }
        if let once = body.once { lines.append("box \(once.box) sequence \(once.sequence)") }
        if let reason = body.reason { lines.append("reason \(reason)") }
        if let sent = body.sent { lines.append("sent \(sent)") }
        lines += body.contents.map(line)
        return lines
    }

    private static func line(_ content: [UInt8]) -> String {
        guard !content.isEmpty else { return "0 bytes" }
        guard let text = printable(content) else {
            return "\(content.count) bytes: \(Hex.string(of: content))"
        }
        return "\(content.count) bytes: “\(text)”"
    }

    /// Nil for what is no text, or could move a terminal's cursor.
    private static func printable(_ content: [UInt8]) -> String? {
        guard let text = String(validating: content, as: UTF8.self) else { return nil }
        let isPlain = text.unicodeScalars.allSatisfy { scalar in
            scalar.value >= 0x20 && !(0x7f..<0xa0).contains(scalar.value)
                && scalar.properties.generalCategory != .format
        }
        return isPlain ? text : nil
    }

    static func add(_ body: OpenedBody, to line: inout JSONLine) {
        if let acks = body.acks {
            line.add("acks_highest", acks.highest)
            line.add("acks_bitmap", Hex.string(acks.bitmap, digits: 16))
        }
        if let once = body.once {
            line.add("box", once.box)
            line.add("sequence", once.sequence)
        }
        if let reason = body.reason { line.add("reason", reason) }
        if let sent = body.sent { line.add("sent", sent) }
        line.add("contents", body.contents.map { Hex.string(of: $0) })
    }
}
