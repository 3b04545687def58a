import Ouroboros

/// What a worker does after packets, messages and timers, and what it does in time.
extension ServerEngine {
    /// Devices without a session are forgotten after so long; their allowance of handshakes is full by then.
    private static let sweepPeriod: UInt64 = 60_000

    /// After packets, messages or timers: everything that was touched sends what it has.
    func finishTurn() {
        takeHandoffs()
        guard !isEnded else { return }
        handOnArrivals()
        offerPlaces()
        while case let turn = agenda.takeTouched(), !turn.isEmpty {
            for peer in turn {
                peer.isTouched = false
                pump(peer)
            }
            offerPlaces()
        }
        handOnArrivals()
        flush()
        feedStarved()
        if isClosing, devices.linked.isEmpty {
            end()
        } else {
            arm()
        }
    }

    private func offerPlaces() {
        if pool.used < pool.count {
            agenda.offerPlaces()
        }
    }

    private func handOnArrivals() {
        guard !arrivals.isEmpty else { return }
        hub.inbox.append(arrivals)
        arrivals.removeAll(keepingCapacity: true)
    }

    private func arm() {
        let now = now
        let sweeps = !devices.peers.isEmpty || !streams.devices.isEmpty
        timer?.arm(at: agenda.deadline(sweeps: sweeps), now: now)
        timer?.arm(at: streams.due, now: now)
    }

    func timerFired() {
        timer?.fired()
        let now = now
        while let peer = agenda.popDue(now) {
            peer.link?.tick(now: now)
            if let stream = peer.stream, peer.link?.isStreamBroken == true {
                breakStream(stream)
            } else {
                agenda.touch(peer)
            }
        }
        tendStreams(now)
        endRetired(now)
        if agenda.acceptors.map({ $0 <= now }) ?? false {
            tickAcceptors(now)
            forgetFirsts()
        }
        if agenda.sweep <= now {
            sweep(now)
        }
        finishTurn()
    }

    func tickAcceptors(_ now: UInt64) {
        agenda.acceptors = [acceptor.tick(now: now), streams.acceptor.tick(now: now)].compactMap { $0 }.min()
    }

    func planSweep(_ now: UInt64) {
        agenda.sweep = now + Self.sweepPeriod
    }

    private func sweep(_ now: UInt64) {
        planSweep(now)
        registry.forgetSaves()
        comparisons.askAgain()
        compareNext()
        devices.forgetSilent(now: now, for: Self.sweepPeriod)
        streams.forgetSilent(now: now, for: Self.sweepPeriod)
    }

    func endRetired(_ now: UInt64) {
        while let peer = agenda.popRetired(now) {
            dropLink(of: peer)
        }
    }
}
