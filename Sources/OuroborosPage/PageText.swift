import Foundation
import Mustache

/// Facts as people read them. What devices and their owners wrote is hostile until it went through here.
enum PageText {
    /// A name or a payload without what could hide or reorder text: such characters become �.
    static func shown(_ text: String, atMost limit: Int = .max) -> String {
        var result = String.UnicodeScalarView()
        for (index, scalar) in text.unicodeScalars.enumerated() {
            guard index < limit else {
                result.append("…")
                break
            }
            result.append(isPlain(scalar) ? scalar : "\u{fffd}")
        }
        return String(result)
    }

    private static func isPlain(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .surrogate, .unassigned:
            false
        default: true
        }
    }

    /// Text if it is some, else hexadecimal digits. What is cut may end within a character.
    static func shown(_ payload: [UInt8], isCut: Bool = false) -> String {
        let end = isCut ? "…" : ""
        for missing in 0...(isCut ? 3 : 0) {
            if let text = String(validating: payload.dropLast(missing), as: UTF8.self) {
                return shown(text) + end
            }
        }
        return payload.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() + end
    }

    /// In UTC, with seconds.
    static func time(_ milliseconds: Int64) -> String {
        Date(timeIntervalSince1970: Double(milliseconds) / 1000).formatted(
            .iso8601.year().month().day().dateTimeSeparator(.space).time(includingFractionalSeconds: false))
    }

    static func number(_ value: Double, decimals: Int) -> String {
        String(format: "%.\(decimals)f", value)
    }
}

/// HTML's escaping, scalar by scalar: Mustache's own looks at characters, and a quote with an accent is another one.
struct ScalarHTML: MustacheContentType {
    func escapeText(_ text: String) -> String {
        var result = ""
        result.reserveCapacity(text.utf8.count)
        for scalar in text.unicodeScalars {
            switch scalar {
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "&": result += "&amp;"
            case "\"": result += "&quot;"
            case "'": result += "&#39;"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
