import ArgumentParser

/// A time as users write it: 500ms, 1s, 2.5s, 5m, 1h; a bare number is seconds.
struct TimeArgument: ExpressibleByArgument, Sendable {
    let duration: Duration

    init(_ duration: Duration) {
        self.duration = duration
    }

    init?(argument: String) {
        let number = argument.prefix { $0.isNumber || $0 == "." }
        let factors = ["ms": 0.001, "s": 1, "": 1, "m": 60, "h": 3600]
        guard let value = Double(number), let factor = factors[String(argument.dropFirst(number.count))],
            value * factor > 0, value * factor < 1e9
        else { return nil }
        duration = .nanoseconds(Int64(value * factor * 1e9))
    }

    var defaultValueDescription: String { "\(duration)" }
}
