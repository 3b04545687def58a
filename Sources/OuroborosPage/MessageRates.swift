/// Messages a second over the last while, one number a slot of time: it is told what comes, and counts nothing meanwhile.
struct MessageRates: Sendable {
    private let slot: Duration
    private let slots: Int
    private let start: ContinuousClock.Instant
    /// Messages by slot, in their order; none is no entry.
    private var counts: [(slot: Int, messages: Int)] = []

    init(slot: Duration, slots: Int, since start: ContinuousClock.Instant) {
        self.slot = max(slot, .milliseconds(1))
        self.slots = slots
        self.start = start
    }

    private func number(at now: ContinuousClock.Instant) -> Int {
        max(0, Int((now - start) / slot))
    }

    mutating func came(_ messages: Int, at now: ContinuousClock.Instant) {
        let current = number(at: now)
        if let last = counts.last, last.slot >= current {
            counts[counts.count - 1].messages += messages
        } else {
            counts.append((current, messages))
            if counts.count > 2 * slots {
                counts.removeFirst(counts.count - slots)
            }
        }
    }

    /// The newest last; a slot counts once it is over.
    func values(at now: ContinuousClock.Instant) -> [Double] {
        let end = number(at: now)
        let first = max(0, end - slots)
        var values = [Double](repeating: 0, count: end - first)
        for (slot, messages) in counts where slot >= first && slot < end {
            values[slot - first] = Double(messages) / (self.slot / .seconds(1))
        }
        return values
    }
}
