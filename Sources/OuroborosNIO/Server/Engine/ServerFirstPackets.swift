import Logging
import Ouroboros

/// The first packet of a session that waits for the registry: it was authentic.
struct WaitingFirst {
    let packet: ConfirmingPacket
    let address: PeerAddress
    /// Else the registry did not answer, and is asked with the session's next packet.
    var isAsked: Bool
}

/// The first packet of a session, and what comes while the registry is asked or makes something of its device durable.
extension ServerEngine {
    func receiveFirst(
        _ packet: UnsafeMutableRawBufferPointer, sessionID: UInt32, from address: PeerAddress, now: UInt64
    ) {
        guard let device = acceptor.device(ofPending: sessionID), let peer = devices.peers[device], !isClosing
        else {
            count(.unknownSession)
            tap(UnsafeRawBufferPointer(packet), from: address, .unknownSession)
            return
        }
        if let first = firsts[sessionID] {
            hold(packet, from: address, of: device)
            if !first.isAsked {
                ask(for: first.packet, of: device, from: first.address)
            }
            return
        }
        let isEvolving = peer.accepted.credential.kind == .evolving
        guard isEvolving || registry.shared != nil else {
            establish(sessionID, peer, from: address) { () throws(OuroborosError) in
                try acceptor.confirm(
                    sessionID: sessionID, packet: packet, from: address, device: peer.accepted,
                    now: now, link: { () throws(OuroborosError) in try makeLink(for: peer) })
            }
            return
        }
        // Once it is opened it is spent, and another session of the device may be the newest in a moment.
        guard !registry.saving.contains(device) else {
            count(.limit)
            tap(UnsafeRawBufferPointer(packet), from: address, .limit)
            return
        }
        do {
            let opening = try acceptor.open(
                sessionID: sessionID, packet: packet, from: address, keeps: true, now: now)
            switch opening {
            case .dropped(let reason): count(reason)
            case .opened(let first) where isEvolving: ask(for: first, of: device, from: address)
            case .opened(let first): number(first, of: peer, from: address)
            }
        } catch {
            registryFailed("opening a first packet", error, device)
        }
    }

    /// A session of an epoch that the device has left, over the other transport or another gateway, is none.
    private func ask(for first: ConfirmingPacket, of device: DeviceID, from address: PeerAddress) {
        keep(first, from: address)
        lookUp(device) { [self] answer in
            guard case .known(let known) = answer else {
                // The first is opened, and would come in vain again.
                firsts[first.sessionID]?.isAsked = false
                dropHeld(of: device, .limit)
                return
            }
            firsts[first.sessionID] = nil
            guard let peer = devices.peers[device], known.credential == peer.accepted.credential else {
                count(.epoch)
                dropHeld(of: device, .epoch)
                return
            }
            adopt(first, by: peer, from: address)
            if !registry.saving.contains(device) {
                takeHeld(of: device)
            }
        }
    }

    /// A first packet of a fixed credential, at one of several gateways.
    private func number(_ first: ConfirmingPacket, of peer: ServerPeer, from address: PeerAddress) {
        let device = peer.device
        keep(first, from: address)
        takeNumber(for: first, of: peer.accepted, at: acceptor) { [self] isNewest in
            firsts[first.sessionID] = nil
            guard isNewest, !isClosing, let peer = devices.peers[device] else { return }
            adopt(first, by: peer, from: address, number: first.nextNumber)
        }
    }

    /// Each belongs to a pending session.
    private func keep(_ first: ConfirmingPacket, from address: PeerAddress) {
        if firsts.count >= acceptor.pendingCount {
            forgetFirsts()
        }
        firsts[first.sessionID] = WaitingFirst(packet: first, address: address, isAsked: true)
    }

    /// Those whose session has ended.
    func forgetFirsts() {
        firsts = firsts.filter { acceptor.device(ofPending: $0.key) != nil }
    }

    private func adopt(
        _ first: ConfirmingPacket, by peer: ServerPeer, from address: PeerAddress, number: UInt64? = nil
    ) {
        establish(first.sessionID, peer, from: address, number: number) { () throws(OuroborosError) in
            try acceptor.adopt(
                first, device: peer.accepted, now: now,
                link: { () throws(OuroborosError) in try makeLink(for: peer) })
        }
    }

    /// Its number is the epoch that `confirm` moves to, if none is given. Nobody counts the sessions of one gateway's fixed
    /// credentials: each is newer than all others.
    private func establish(
        _ sessionID: UInt32, _ peer: ServerPeer, from address: PeerAddress, number: UInt64? = nil,
        _ confirm: () throws(OuroborosError) -> Acceptor.Confirmation
    ) {
        let epoch = peer.accepted.epoch
        do {
            switch try confirm() {
            case .dropped(let reason):
                count(reason)
            case .confirmed(let moved):
                guard let link = peer.link else { return }
                let number = number ?? moved?.epoch
                peer.number = number ?? 0
                peer.lastHeard = now
                peer.retires = nil
                devices.note(link.sessionIDs, of: peer)
                note(address.socketAddress, ofSessionOf: peer.device, in: &peer.places)
                save(moved, of: peer.device, from: epoch) { [self] isSaved in
                    guard isSaved, peer.link === link else { return }
                    link.epochSaved()
                    settle(peer, link)
                    told(of: sessionID, peer.device, number: number ?? .max)
                }
            }
        } catch {
            logger?.error(
                "confirming a session: \(error)",
                metadata: ["device": "\(peer.device)", "session": "\(sessionID)"])
            dropLink(of: peer)
        }
    }

    // MARK: What comes meanwhile

    /// Something of the device is being made durable: its packets wait for that, and come in their order.
    func hold(_ packet: UnsafeMutableRawBufferPointer, from address: PeerAddress, of device: DeviceID) {
        guard !held.hold(UnsafeRawBufferPointer(packet), from: address, of: device) else { return }
        count(.limit)
        tap(UnsafeRawBufferPointer(packet), from: address, .limit)
    }

    /// It is durable, or could not be made so: then the sessions of what was held are gone.
    func takeHeld(of device: DeviceID) {
        let packets = held.take(of: device)
        guard !packets.isEmpty, !isEnded else { return }
        for packet in packets {
            var bytes = packet.bytes
            bytes.withUnsafeMutableBytes { bytes in
                let id = Packet.sessionID(of: UnsafeRawBufferPointer(bytes))
                receive(bytes, sessionID: id, from: packet.address, now)
            }
        }
        finishTurn()
    }

    private func dropHeld(of device: DeviceID, _ reason: DropReason) {
        for packet in held.take(of: device) {
            count(reason)
            packet.bytes.withUnsafeBytes { tap($0, from: packet.address, reason) }
        }
    }
}
