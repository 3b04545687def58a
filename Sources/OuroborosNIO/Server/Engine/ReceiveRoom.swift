/// One whose packets fill a ``ReceiveRoom``: a link to a device.
protocol RoomTaker: AnyObject {
    var share: ReceiveShare { get set }
}

/// What one has of a ``ReceiveRoom``.
struct ReceiveShare {
    /// Packets whose messages are not confirmed.
    fileprivate(set) var unconfirmed = 0
    fileprivate var told: Int?
    fileprivate var isStarved = false
}

/// The queue to the application, in packets: so many of one device, so many of all.
struct ReceiveRoom<Taker: RoomTaker> {
    private let ofAll: Int
    private let ofOne: Int
    private(set) var unconfirmed = 0
    /// What is read in this turn is taken as a whole by those who had room: most of a turn's work is the same for one
    /// packet and for many, and small queues would be slow. So it is where the application has given something back since
    /// the queue was full: one that does nothing gets no more.
    private(set) var takesAll = true
    private var isAtWork = true
    /// Those whose room others have taken.
    private var starved: [Taker] = []

    init(ofAll: Int, ofOne: Int) {
        self.ofAll = ofAll
        self.ofOne = ofOne
    }

    /// What one can have of it at most. Who was told to wait goes on when half of that is free.
    var most: Int { min(ofAll, ofOne) }

    /// The first of a turn's messages is there.
    mutating func beginTurn() {
        takesAll = isAtWork
    }

    /// A packet's messages go to the application.
    mutating func take(for taker: Taker) {
        unconfirmed += 1
        taker.share.unconfirmed += 1
        if unconfirmed >= ofAll || taker.share.unconfirmed >= ofOne {
            isAtWork = false
        }
    }

    /// They are safe; nil is one that has left.
    mutating func giveBack(for taker: Taker?) {
        unconfirmed -= 1
        isAtWork = true
        taker?.share.unconfirmed -= 1
    }

    /// The link is gone. What the application holds of it counts for all alone.
    mutating func leave(_ taker: Taker) {
        if taker.share.isStarved {
            starved.removeAll { $0 === taker }
        }
        taker.share = ReceiveShare()
    }

    /// How many packets more one may send; nil if that is what it was told last.
    mutating func news(for taker: Taker, isClosing: Bool) -> Int? {
        let all = ofAll - unconfirmed
        let own = ofOne - taker.share.unconfirmed
        let room = isClosing ? 0 : max(0, min(all, own))
        // What others give back is told to nobody: this one is to hear of it.
        if !isClosing, all < own, room * 2 < most, !taker.share.isStarved {
            taker.share.isStarved = true
            starved.append(taker)
        }
        guard room != taker.share.told else { return nil }
        taker.share.told = room
        return room
    }

    /// A stream: what a device may have in flight still fits, and only more than that stops reading.
    func stopsReading(of taker: Taker) -> Bool {
        let unconfirmed = taker.share.unconfirmed
        return unconfirmed > ofOne || (self.unconfirmed >= ofAll && unconfirmed > 0)
    }

    /// Those whose room others had taken, once half of all is free.
    mutating func takeFed() -> [Taker] {
        guard !starved.isEmpty, unconfirmed * 2 <= ofAll else { return [] }
        defer { starved.removeAll() }
        for taker in starved {
            taker.share.isStarved = false
        }
        return starved
    }
}
