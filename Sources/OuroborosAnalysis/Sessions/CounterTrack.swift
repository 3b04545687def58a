/// Which counters of one space and direction were seen.
struct CounterTrack {
    struct Sighting {
        let tag: [UInt8]
        let time: CaptureTime
        let source: Endpoint
        let asksForAck: Bool
        var copies = 1
        var isAcknowledged = false
    }

    enum Verdict {
        case new
        /// So many counters before it were not seen yet.
        case gap(UInt64)
        /// It fills a gap.
        case late
        /// The same bytes, so far that many times before.
        case again(Sighting)
        /// The same counter with other bytes.
        case conflict
        /// Below all that a receiver still takes.
        case old
        /// Further ahead than anybody may be.
        case ahead(UInt64)
    }

    private(set) var highest: UInt64?
    private(set) var lowest: UInt64?
    private(set) var unique: UInt64 = 0
    private(set) var copies: UInt64 = 0
    private var sightings: [UInt64: Sighting] = [:]

    /// Far above any window, so that what is kept tells more than a receiver could.
    private static let memory: UInt64 = 1024
    /// The largest window of a receiver, of messages and of control packets.
    private static let window: UInt64 = 64
    /// A loss of more at once is taken for a forged counter.
    private static let mostAhead: UInt64 = 1 << 16

    /// Counters that were used, as later ones show, and never seen.
    var missing: UInt64 {
        guard let highest, let lowest else { return 0 }
        return highest - lowest + 1 - unique
    }

    /// A session that is seen from its handshake on begins at 0.
    init(beginsAtZero: Bool = false) {
        if beginsAtZero { lowest = 0 }
    }

    func verdict(_ counter: UInt64, tag: some Sequence<UInt8>) -> Verdict {
        if let known = sightings[counter] {
            return known.tag.elementsEqual(tag) ? .again(known) : .conflict
        }
        guard let highest else {
            let first = lowest ?? counter
            guard counter - first <= Self.mostAhead else { return .ahead(counter - first) }
            return counter > first ? .gap(counter - first) : .new
        }
        if counter > highest {
            let step = counter - highest
            guard step <= Self.mostAhead else { return .ahead(step) }
            return step > 1 ? .gap(step - 1) : .new
        }
        return highest - counter < Self.window ? .late : .old
    }

    mutating func add(_ counter: UInt64, _ sighting: Sighting) {
        unique += 1
        highest = max(highest ?? counter, counter)
        lowest = min(lowest ?? counter, counter)
        sightings[counter] = sighting
        if sightings.count > 2 * Int(Self.memory), let highest {
            sightings = sightings.filter { highest - $0.key < Self.memory }
        }
    }

    mutating func addCopy(of counter: UInt64) {
        copies += 1
        sightings[counter]?.copies += 1
    }

    /// The sighting that an acknowledgement names for the first time.
    mutating func acknowledge(_ counter: UInt64) -> Sighting? {
        guard let sighting = sightings[counter], !sighting.isAcknowledged else { return nil }
        sightings[counter]?.isAcknowledged = true
        return sighting
    }
}
