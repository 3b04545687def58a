import LibC

/// When a packet was captured: microseconds since 1970. Any value may stand in a file.
public struct CaptureTime: Sendable, Hashable, Comparable {
    public let microseconds: Int64

    public init(microseconds: Int64) {
        self.microseconds = microseconds
    }

    init(seconds: Int, microseconds: Int) {
        let (whole, overflow) = Int64(seconds).multipliedReportingOverflow(by: 1_000_000)
        let (sum, carry) = whole.addingReportingOverflow(Int64(microseconds))
        self.microseconds = overflow || carry ? 0 : sum
    }

    public static func < (left: CaptureTime, right: CaptureTime) -> Bool {
        left.microseconds < right.microseconds
    }

    /// How long after `earlier`, in microseconds; 0 when the clock went back.
    func since(_ earlier: CaptureTime) -> UInt64 {
        let (difference, overflow) = microseconds.subtractingReportingOverflow(earlier.microseconds)
        return overflow || difference < 0 ? 0 : UInt64(difference)
    }

    /// In UTC: 2026-01-31T23:59:59.123456Z.
    public var text: String {
        let (quotient, remainder) = microseconds.quotientAndRemainder(dividingBy: 1_000_000)
        var seconds = time_t(remainder < 0 ? quotient - 1 : quotient)
        let fraction = remainder < 0 ? remainder + 1_000_000 : remainder
        var parts = tm()
        guard gmtime_r(&seconds, &parts) != nil else { return "?" }
        func pad(_ number: some BinaryInteger, _ width: Int) -> String {
            let digits = String(number)
            return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
        }
        let date = "\(pad(Int(parts.tm_year) + 1900, 4))-\(pad(parts.tm_mon + 1, 2))-\(pad(parts.tm_mday, 2))"
        let time = "\(pad(parts.tm_hour, 2)):\(pad(parts.tm_min, 2)):\(pad(parts.tm_sec, 2))"
        return "\(date)T\(time).\(pad(fraction, 6))Z"
    }
}
