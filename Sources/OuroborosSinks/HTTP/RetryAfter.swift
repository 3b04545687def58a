import Foundation

/// RFC 9110, section 10.2.3: seconds, or a date.
enum RetryAfter {
    static func duration(_ value: String?, now: Date = Date()) -> Duration? {
        guard let value else { return nil }
        if let seconds = Int(value), (0..<1_000_000_000).contains(seconds) {
            return .seconds(seconds)
        }
        let format = DateFormatter()
        format.locale = Locale(identifier: "en_US_POSIX")
        format.timeZone = TimeZone(identifier: "GMT")
        format.dateFormat = "EEE, dd MMM yyyy HH:mm:ss zzz"
        return format.date(from: value).map { .seconds(max(0, $0.timeIntervalSince(now))) }
    }
}
