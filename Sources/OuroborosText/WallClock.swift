import LibC
import SwiftOverlayShims

package enum WallClock {
    /// Now, in UTC: 2026-01-31T23:59:59.123Z.
    package static func now() -> String {
        string(milliseconds: milliseconds())
    }

    /// Since 1970.
    package static func milliseconds() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
    }

    package static func string(milliseconds: Int64) -> String {
        string(seconds: milliseconds / 1000, milliseconds: Int(milliseconds % 1000))
    }

    package static func string(seconds: Int64, milliseconds: Int? = nil) -> String {
        var seconds = time_t(seconds)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        let date =
            "\(pad(Int(parts.tm_year) + 1900, 4))-\(pad(Int(parts.tm_mon) + 1, 2))-\(pad(Int(parts.tm_mday), 2))"
        let time = "\(pad(Int(parts.tm_hour), 2)):\(pad(Int(parts.tm_min), 2)):\(pad(Int(parts.tm_sec), 2))"
        return "\(date)T\(time)\(milliseconds.map { "." + pad($0, 3) } ?? "")Z"
    }

    private static func pad(_ number: Int, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}
