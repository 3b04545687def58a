import Ouroboros

/// Messages that were refused for good with none taken in between. After many of them the fault may be the other
/// side's: the rest of the spool is to be set aside slowly, so that somebody may look.
struct RefusalRun {
    private(set) var length = 0
    private var backoff = Backoff.ofSinks

    private static let most = 100
    private static let longestPause = Duration.seconds(5)

    mutating func taken() {
        length = 0
        backoff.reset()
    }

    /// The pause before more is given to the sink, and whether it is the first one.
    mutating func refused(_ count: Int) -> (pause: Duration, isFirst: Bool)? {
        let before = length
        length += count
        guard length > Self.most else { return nil }
        return (backoff.next(upTo: Self.longestPause), before <= Self.most)
    }
}

/// Of which devices the log has told lately.
struct ToldDevices {
    private var told: [DeviceID: ContinuousClock.Instant] = [:]

    private static let period = Duration.seconds(60)

    /// Once a minute.
    mutating func isDue(_ device: DeviceID, at now: ContinuousClock.Instant = .now) -> Bool {
        told = told.filter { now - $0.value < Self.period }
        guard told[device] == nil else { return false }
        told[device] = now
        return true
    }
}
