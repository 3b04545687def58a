/// Numbers with a point, whatever the locale.
package enum Decimal {
    /// `number` is finite and below 10^15 in size.
    package static func text(_ number: Double, _ decimals: Int) -> String {
        var scale = 1.0
        for _ in 0..<decimals { scale *= 10 }
        let scaled = Int64((abs(number) * scale).rounded())
        let sign = number < 0 && scaled != 0 ? "-" : ""
        guard decimals > 0 else { return "\(sign)\(scaled)" }
        let fraction = String(scaled % Int64(scale))
        let padding = String(repeating: "0", count: max(0, decimals - fraction.utf8.count))
        return "\(sign)\(scaled / Int64(scale)).\(padding)\(fraction)"
    }
}
