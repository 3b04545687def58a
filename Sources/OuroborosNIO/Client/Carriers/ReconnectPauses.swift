import NIOCore
import Ouroboros

/// Pauses between tries to reach a server (RFC 7252, 4.8): up to 8 s for the first 45 s, then up to 5 min.
struct ReconnectPauses {
    private var backoff: Backoff
    private var since: NIODeadline?

    init(first: Duration) {
        backoff = Backoff(first: max(first, .milliseconds(1)))
    }

    mutating func next(now: NIODeadline) -> Duration {
        let begun = since ?? now
        since = begun
        return backoff.next(upTo: now - begun < .seconds(45) ? .seconds(8) : .seconds(300))
    }

    mutating func reset() {
        backoff.reset()
        since = nil
    }
}
