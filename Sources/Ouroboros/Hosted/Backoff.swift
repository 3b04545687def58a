/// Pauses between tries: they double up to a limit, and each is drawn out by up to a half, so that many who were
/// cut off together do not come back together.
package struct Backoff: Sendable {
    private let first: Duration
    private var pause: Duration

    package init(first: Duration) {
        self.first = first
        pause = first
    }

    /// The next pause, before it is drawn out at most `longest` and at least `least`.
    package mutating func next(upTo longest: Duration, atLeast least: Duration = .zero) -> Duration {
        let current = min(pause, longest)
        pause = current * 2
        return max(current, least) * Double.random(in: 1...1.5)
    }

    package mutating func reset() {
        pause = first
    }
}
