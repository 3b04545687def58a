extension Duration {
    /// A time as users write it: 500ms, 1s, 2.5s, 5m, 1h; a bare number is seconds.
    package init?(written text: String) {
        let number = text.prefix { $0.isNumber || $0 == "." }
        let factors = ["ms": 0.001, "s": 1, "": 1, "m": 60, "h": 3600]
        guard let value = Double(number), let factor = factors[String(text.dropFirst(number.count))],
            value * factor > 0, value * factor < 1e9
        else { return nil }
        self = .nanoseconds(Int64(value * factor * 1e9))
    }

    /// Whole ones; what is left over is cut.
    package var milliseconds: Int64 {
        components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000
    }
}
