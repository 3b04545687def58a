import NIOCore
import Ouroboros

/// HELLO, and the first packet of a session.
extension ServerEngine {
    func receiveHello(
        _ packet: UnsafeMutableRawBufferPointer, from address: SocketAddress, over port: ServerPort,
        now: UInt64
    ) {
        guard !isClosing else { return }
        guard let device = Packet.claimedDevice(ofHello: UnsafeRawBufferPointer(packet)) else {
            count(.malformed)
            tap(UnsafeRawBufferPointer(packet), from: PeerAddress(address), .malformed)
            return
        }
        let isAsked = registry.credential(of: device, for: packet) { [self, weak port] packet, known in
            guard !isClosing, let port else { return }
            answer(UnsafeRawBufferPointer(packet), of: device, known, from: address, over: port)
        }
        if !isAsked {
            count(.limit)
            tap(UnsafeRawBufferPointer(packet), from: PeerAddress(address), .limit)
        }
    }

    /// Answers a HELLO with what the registry knows of its device.
    private func answer(
        _ packet: UnsafeRawBufferPointer, of device: DeviceID, _ known: Result<Credential?, any Error>?,
        from address: SocketAddress, over port: ServerPort
    ) {
        let now = now
        let isNew = peers[device] == nil
        do {
            // An answer that is older than what was saved meanwhile: the device sends it again.
            guard let known = try known?.get() as Credential?? else {
                count(.limit)
                return
            }
            guard let peer = peer(for: device, known, now: now) else {
                tap(packet, from: PeerAddress(address), .handshake)
                return
            }
            let epoch = peer.accepted.credential.epoch
            let answer = try acceptor.answer(
                hello: packet, of: peer.accepted, link: peer.link, now: now,
                isTaken: { sessions[$0] != nil })
            switch answer {
            case .dropped(let reason):
                count(reason)
                // A registry that knows every device, a fleet's, must not make forged ones cost memory. An evolving
                // device stays: the keys of its epochs ahead were derived for a minute, not for one HELLO.
                if isNew, peer.accepted.credential.kind == .fixed {
                    peers[device] = nil
                }
            case .welcome(let welcome, let moved):
                peer.lastHeard = now
                save(moved, of: peer, from: epoch) { [weak port] in
                    welcome.withUnsafeBytes { port?.port.write($0, to: address) }
                }
            }
            tickAcceptor(now)
        } catch {
            registryFailed("answering a HELLO", error, device)
        }
        if registry.local == nil {
            finishTurn()
        }
    }

    /// The device as the registry has it now; nil for one that it does not know.
    private func peer(for device: DeviceID, _ credential: Credential?, now: UInt64) -> ServerPeer? {
        guard let credential else {
            statistics.unknownDevices += 1
            logger?.debug("HELLO of an unknown device", metadata: ["device": "\(device)"])
            forget(device)
            return nil
        }
        guard let peer = peers[device] else {
            let accepted = AcceptedDevice(credential, acceptor: acceptor)
            let peer = ServerPeer(accepted, device: device, now: now)
            peers[device] = peer
            return peer
        }
        let known = peer.accepted.credential
        if known != credential {
            // It was provisioned anew, or another gateway of the registry moved it on.
            if known.kind != credential.kind || known.epoch >= credential.epoch {
                dropLink(of: peer)
            }
            peer.accepted = AcceptedDevice(credential, acceptor: acceptor)
        }
        return peer
    }

    /// The device is not known any more.
    func forget(_ device: DeviceID) {
        for peer in links(of: device) {
            dropLink(of: peer)
        }
        peers[device] = nil
        streams.devices[device] = nil
    }

    func links(of device: DeviceID) -> [ServerPeer] {
        [peers[device]].compactMap { $0 } + (streams.devices[device]?.peers ?? [])
    }

    func disconnect(_ device: DeviceID) {
        for peer in links(of: device) where peer.link != nil {
            beginClose(peer)
        }
        finishTurn()
    }

    /// A session of an epoch that the device has left, over the other transport or another gateway, is none.
    func isCurrent(_ accepted: AcceptedDevice, _ device: DeviceID) throws -> Bool {
        let known = accepted.credential
        return try known.kind == .fixed || registry.local?.credential(of: device) == known
    }

    func receiveFirst(
        _ packet: UnsafeMutableRawBufferPointer, sessionID: UInt32, from address: PeerAddress, now: UInt64
    ) {
        guard let device = acceptor.device(ofPending: sessionID), let peer = peers[device], !isClosing else {
            count(.unknownSession)
            tap(UnsafeRawBufferPointer(packet), from: address, .unknownSession)
            return
        }
        guard peer.accepted.credential.kind == .evolving else {
            confirm(packet, sessionID, from: address, peer)
            return
        }
        let isAsked = registry.credential(of: device, for: packet) { [self] packet, known in
            guard !isClosing, let peer = peers[device] else { return }
            do {
                if try known?.get() == peer.accepted.credential {
                    confirm(packet, sessionID, from: address, peer)
                } else {
                    count(.epoch)
                    tap(UnsafeRawBufferPointer(packet), from: address, .epoch)
                }
            } catch {
                registryFailed("confirming a session", error, device)
            }
            if registry.local == nil {
                finishTurn()
            }
        }
        if !isAsked {
            count(.limit)
            tap(UnsafeRawBufferPointer(packet), from: address, .limit)
        }
    }

    private func confirm(
        _ packet: UnsafeMutableRawBufferPointer, _ sessionID: UInt32, from address: PeerAddress,
        _ peer: ServerPeer
    ) {
        // The answer took a while, and the link may be another's turn now: the device sends the packet again.
        guard !peer.isHeld else { return }
        let epoch = peer.accepted.credential.epoch
        do {
            let confirmation = try acceptor.confirm(
                sessionID: sessionID, packet: packet, from: address, device: peer.accepted,
                now: now, link: { () throws(OuroborosError) in try makeLink(for: peer) })
            switch confirmation {
            case .dropped(let reason):
                count(reason)
            case .confirmed(let moved):
                guard let link = peer.link else { return }
                peer.lastHeard = now
                peer.retires = nil
                noteSessions(of: peer, link)
                save(moved, of: peer, from: epoch) { [self] in
                    guard peer.link === link else { return }
                    link.epochSaved()
                    settle(peer, link)
                    told(of: sessionID, peer.device, peer.accepted)
                }
            }
        } catch {
            logger?.error(
                "confirming a session: \(error)",
                metadata: ["device": "\(peer.device)", "session": "\(sessionID)"])
            dropLink(of: peer)
        }
    }

    /// Workers and gateways that have an older session of the device let it drain.
    func told(of sessionID: UInt32, _ device: DeviceID, _ accepted: AcceptedDevice) {
        let session = ConfirmedSession(
            device: device, sessionID: sessionID, epoch: accepted.credential.epoch)
        hub.confirmed(session, by: worker)
        registry.shared?.announce(session)
    }

    /// Goes on once a moved credential is durable. If that fails the device starts from what the registry has.
    private func save(
        _ moved: Credential?, of peer: ServerPeer, from epoch: UInt64, _ then: @escaping () -> Void
    ) {
        guard let moved else {
            then()
            return
        }
        peer.isHeld = true
        registry.save(moved, from: epoch) { [self] result in
            peer.isHeld = false
            switch result {
            case .success: then()
            case .failure(let error):
                saveFailed(error, peer.device)
                dropLink(of: peer)
                if peers[peer.device] === peer {
                    peers[peer.device] = nil
                }
            }
            if registry.local == nil {
                finishTurn()
            }
        }
    }

    /// The same for a stream's.
    func saveNow(_ moved: Credential?, of device: DeviceID) -> Bool {
        guard let moved else { return true }
        do {
            try registry.local?.advance(to: moved)
            return true
        } catch {
            saveFailed(error, device)
            return false
        }
    }

    private func saveFailed(_ error: any Error, _ device: DeviceID) {
        statistics.registryFailures += 1
        logger?.error(
            "an epoch could not be saved, so the device is not served: \(error)",
            metadata: ["device": "\(device)"])
    }

    private func registryFailed(_ what: String, _ error: any Error, _ device: DeviceID) {
        statistics.registryFailures += 1
        // One that gateways share says itself when it cannot be reached.
        logger?.log(
            level: registry.local == nil ? .debug : .error, "\(what): \(error)",
            metadata: ["device": "\(device)"])
    }

    /// Tells a tap of what no link and no acceptor got to see.
    func tap(_ packet: UnsafeRawBufferPointer, from address: PeerAddress?, _ reason: DropReason) {
        configuration.link.tap?.report(.received(Array(packet), from: address, .dropped(reason)))
    }

    func count(_ reason: DropReason) {
        statistics.drops[reason, default: 0] += 1
    }
}
