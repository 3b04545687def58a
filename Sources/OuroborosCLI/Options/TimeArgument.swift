import ArgumentParser
import OuroborosText

/// A time as users write it: 500ms, 10s, 5m.
struct TimeArgument: ExpressibleByArgument, Sendable {
    let duration: Duration

    init(_ duration: Duration) {
        self.duration = duration
    }

    init?(argument: String) {
        guard let duration = Duration(written: argument) else { return nil }
        self.duration = duration
    }

    var defaultValueDescription: String { "\(duration)" }
}
