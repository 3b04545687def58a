/// Pauses between tries: they double up to a limit, and each is drawn out by up to a half, so that many who were
/// cut off together do not come back together.
struct Backoff {
    private static let first = Duration.milliseconds(500)
    /// After a refusal, which somebody has to look at.
    private static let afterRefusal = Duration.seconds(30)
    private static let longestRetryAfter = Duration.seconds(3600)

    private let longest: Duration
    private var pause = Self.first

    init(longest: Duration) {
        self.longest = longest
    }

    mutating func reset() {
        pause = Self.first
    }

    mutating func next(after failure: SinkFailure? = nil) -> Duration {
        defer { pause = min(pause * 2, longest) }
        var base = min(pause, longest)
        if failure?.isRefusal == true {
            base = max(base, Self.afterRefusal)
        }
        if let retryAfter = failure?.retryAfter {
            base = max(base, min(retryAfter, Self.longestRetryAfter))
        }
        return base * Double.random(in: 1...1.5)
    }
}
