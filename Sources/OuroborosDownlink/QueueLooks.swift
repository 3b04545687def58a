/// When the queue of messages to devices is to be looked at: what waits in it costs nothing until then.
struct QueueLooks {
    enum Look {
        /// What has grown old.
        case ended
        /// All that waits.
        case whole
    }

    /// A look that follows another, or a try that follows one in vain.
    private static let soon = Duration.seconds(1)
    /// The clock of people may be set while nobody looks at it.
    private static let late = Duration.seconds(10)

    /// What is known of the queue may be old.
    private var isStale = false
    private let period: Duration
    private var wholeAt: ContinuousClock.Instant
    /// When the first message that waits grows old, in milliseconds since 1970.
    private var firstExpiry: Int64?

    /// `period` is that of the looks at all that waits.
    init(period: Duration, at now: ContinuousClock.Instant) {
        self.period = period
        wholeAt = now - period
    }

    mutating func missed() {
        isStale = true
    }

    /// A message waits until then. True if it is the first to grow old.
    @discardableResult
    mutating func waits(until expiry: Int64) -> Bool {
        guard firstExpiry.map({ expiry < $0 }) ?? true else { return false }
        firstExpiry = expiry
        return true
    }

    /// The look that is due, at a time and that of people.
    func due(at now: ContinuousClock.Instant, _ wall: Int64) -> Look? {
        if isStale || now - wholeAt >= period { return .whole }
        return firstExpiry.map { $0 <= wall } ?? false ? .ended : nil
    }

    /// A look begins. What comes from now on it may not see; one that fails is missed.
    mutating func began(_ look: Look) {
        if look == .whole { isStale = false }
        firstExpiry = nil
    }

    mutating func ended(_ look: Look, at now: ContinuousClock.Instant, firstExpiry: Int64?) {
        if look == .whole { wholeAt = now }
        if let firstExpiry { waits(until: firstExpiry) }
    }

    /// How long to wait before something may be due.
    func pause(at now: ContinuousClock.Instant, _ wall: Int64) -> Duration {
        guard !isStale else { return Self.soon }
        let whole = wholeAt + period - now
        let expiry = firstExpiry.map { Duration.milliseconds($0) - .milliseconds(wall) } ?? Self.late
        return max(Self.soon, min(whole, expiry, Self.late))
    }
}
