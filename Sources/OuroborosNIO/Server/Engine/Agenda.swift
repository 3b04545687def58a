/// Which links are to be looked after: in this turn, once a place is free, and when.
struct Agenda {
    private var touched: [ServerPeer] = []
    private var withoutPlace: [ServerPeer] = []
    private var timers = TimerHeap<ServerPeer>()
    /// Those with a newer session elsewhere, the first to end first.
    private var retiring: [(due: UInt64, peer: ServerPeer)] = []
    /// When the acceptors are ticked, and when what is silent is forgotten.
    var acceptors: UInt64?
    var sweep: UInt64 = 0

    // MARK: Turns

    mutating func touch(_ peer: ServerPeer) {
        guard !peer.isTouched else { return }
        peer.isTouched = true
        touched.append(peer)
    }

    /// Those of this turn; who is touched from now on has another.
    mutating func takeTouched() -> [ServerPeer] {
        let turn = touched
        touched.removeAll(keepingCapacity: true)
        return turn
    }

    // MARK: Places

    /// It has messages that found every place taken.
    mutating func awaitPlace(_ peer: ServerPeer) {
        guard !peer.awaitsPlace else { return }
        peer.awaitsPlace = true
        withoutPlace.append(peer)
    }

    /// A place that one gives back is one that another may wait for.
    mutating func offerPlaces() {
        let waiting = withoutPlace
        withoutPlace.removeAll()
        for peer in waiting {
            peer.awaitsPlace = false
            touch(peer)
        }
    }

    /// It has left: whoever comes and goes while no place is free is kept no longer.
    mutating func awaitNoPlace(_ peer: ServerPeer) {
        guard peer.awaitsPlace else { return }
        peer.awaitsPlace = false
        withoutPlace.removeAll { $0 === peer }
    }

    // MARK: Times

    mutating func set(_ peer: ServerPeer, to deadline: UInt64?) {
        timers.set(peer, to: deadline)
    }

    /// The next one whose time has come.
    mutating func popDue(_ now: UInt64) -> ServerPeer? {
        guard let peer = timers.first, peer.deadline <= now else { return nil }
        timers.remove(peer)
        return peer
    }

    /// It ends at `due`, unless it has a link of its own again before.
    mutating func retire(_ peer: ServerPeer, at due: UInt64) {
        guard peer.retires == nil else { return }
        peer.retires = due
        retiring.append((due, peer))
    }

    mutating func popRetired(_ now: UInt64) -> ServerPeer? {
        while let (due, peer) = retiring.first, due <= now {
            retiring.removeFirst()
            if peer.retires == due { return peer }
        }
        return nil
    }

    /// When something is due.
    func deadline(sweeps: Bool) -> UInt64? {
        [timers.first?.deadline, retiring.first?.due, acceptors, sweeps ? sweep : nil].compactMap(\.self)
            .min()
    }
}
