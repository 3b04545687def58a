import Logging
import NIOCore
import Ouroboros

/// HELLO, and the first packet of a session.
extension ServerEngine {
    func receiveHello(
        _ packet: UnsafeMutableRawBufferPointer, from address: SocketAddress, at local: SocketAddress?,
        over port: ServerPort, now: UInt64
    ) {
        guard !isClosing else { return }
        guard let device = Packet.claimedDevice(ofHello: UnsafeRawBufferPointer(packet)) else {
            count(.malformed)
            tap(UnsafeRawBufferPointer(packet), from: PeerAddress(address), .malformed)
            return
        }
        guard !Packet.isForStream(UnsafeRawBufferPointer(packet)) else {
            count(.transport)
            tap(UnsafeRawBufferPointer(packet), from: PeerAddress(address), .transport)
            return
        }
        lookUp(device, for: packet, from: PeerAddress(address)) { [self, weak port] packet, known in
            guard case .known(let known) = known, let port else { return }
            answer(UnsafeRawBufferPointer(packet), of: device, known, from: address, at: local, over: port)
        }
    }

    /// Asks the registry for the device of a packet, and goes on with its answer, at once or later.
    func lookUp(
        _ device: DeviceID, for packet: UnsafeMutableRawBufferPointer, from address: PeerAddress?,
        _ then: @escaping (UnsafeMutableRawBufferPointer, RegistryAnswer) -> Void
    ) {
        registry.credential(of: device, for: packet) { [self] packet, answer in
            guard !isClosing else { return }
            switch answer {
            case .known: break
            case .busy:
                count(.limit)
                tap(UnsafeRawBufferPointer(packet), from: address, .limit)
            case .failed(let error): registryFailed("looking a device up", error, device)
            }
            then(packet, answer)
            if registry.local == nil {
                finishTurn()
            }
        }
    }

    /// Answers a HELLO with what the registry knows of its device.
    private func answer(
        _ packet: UnsafeRawBufferPointer, of device: DeviceID, _ known: SharedDevice,
        from address: SocketAddress, at local: SocketAddress?, over port: ServerPort
    ) {
        let now = now
        let isNew = devices.peers[device] == nil
        do {
            guard let peer = peer(for: device, known, now: now) else {
                tap(packet, from: PeerAddress(address), .handshake)
                return
            }
            peer.accepted.generation = known.generation
            let epoch = peer.accepted.epoch
            let answer = try acceptor.answer(
                hello: packet, of: peer.accepted, link: peer.link, now: now,
                isTaken: { devices.sessions[$0] != nil })
            switch answer {
            case .dropped(let reason):
                count(reason, of: peer.accepted, now: now)
                // A registry that knows every device, a fleet's, must not make forged ones cost memory. An evolving
                // device stays: the keys of its epochs ahead were derived for a minute, not for one HELLO.
                if isNew, reason != .kind, peer.accepted.credential.kind == .fixed {
                    devices.remove(device)
                }
            case .welcome(let welcome, let moved):
                peer.lastHeard = now
                save(moved, of: device, from: epoch) { [weak port] isSaved in
                    guard isSaved else { return }
                    welcome.withUnsafeBytes { port?.port.write($0, to: address, from: local) }
                }
            }
            tickAcceptors(now)
        } catch {
            registryFailed("answering a HELLO", error, device)
        }
    }

    /// The device as the registry has it now; nil for one that it does not know.
    private func peer(for device: DeviceID, _ known: SharedDevice, now: UInt64) -> ServerPeer? {
        guard let credential = known.credential else {
            refuseUnknown(device)
            return nil
        }
        guard let peer = devices.peers[device] else {
            let accepted = AcceptedDevice(credential, acceptor: acceptor)
            let peer = ServerPeer(accepted, device: device, now: now)
            devices.add(peer)
            return peer
        }
        let held = peer.accepted.credential
        if held != credential {
            if held.isReplaced(by: credential) {
                dropLink(of: peer)
            }
            peer.accepted = AcceptedDevice(credential, acceptor: acceptor)
        }
        return peer
    }

    func refuseUnknown(_ device: DeviceID) {
        statistics.unknownDevices += 1
        tell(.unknown, of: device)
        forget(device)
    }

    /// The device is not known any more.
    func forget(_ device: DeviceID) {
        for peer in links(of: device) {
            dropLink(of: peer)
        }
        devices.remove(device)
        streams.devices[device] = nil
    }

    func disconnect(_ device: DeviceID) {
        for peer in links(of: device) where peer.link != nil {
            beginClose(peer)
        }
        finishTurn()
    }

    func receiveFirst(
        _ packet: UnsafeMutableRawBufferPointer, sessionID: UInt32, from address: PeerAddress, now: UInt64
    ) {
        guard let device = acceptor.device(ofPending: sessionID), let peer = devices.peers[device], !isClosing
        else {
            count(.unknownSession)
            tap(UnsafeRawBufferPointer(packet), from: address, .unknownSession)
            return
        }
        guard peer.accepted.credential.kind == .evolving else {
            if registry.shared != nil {
                number(packet, sessionID, from: address, peer)
            } else {
                confirm(packet, sessionID, from: address, peer)
            }
            return
        }
        // One that overtook the first in the registry would be handed on before it; the device sends it again.
        guard confirming.insert(sessionID).inserted else {
            count(.limit)
            tap(UnsafeRawBufferPointer(packet), from: address, .limit)
            return
        }
        // A session of an epoch that the device has left, over the other transport or another gateway, is none.
        lookUp(device, for: packet, from: address) { [self] packet, known in
            confirming.remove(sessionID)
            guard case .known(let known) = known, let peer = devices.peers[device] else { return }
            guard known.credential == peer.accepted.credential else {
                count(.epoch)
                tap(UnsafeRawBufferPointer(packet), from: address, .epoch)
                return
            }
            confirm(packet, sessionID, from: address, peer)
        }
    }

    /// A first packet of a fixed credential, at one of several gateways.
    private func number(
        _ packet: UnsafeMutableRawBufferPointer, _ sessionID: UInt32, from address: PeerAddress,
        _ peer: ServerPeer
    ) {
        let device = peer.device
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
            case .opened(let first):
                takeNumber(for: first, of: peer.accepted, at: acceptor) { [self] isNewest in
                    guard isNewest, !isClosing, let peer = devices.peers[device] else { return }
                    establish(sessionID, peer, from: address, number: first.nextNumber) {
                        () throws(OuroborosError) in
                        try acceptor.adopt(
                            first, device: peer.accepted, now: now,
                            link: { () throws(OuroborosError) in try makeLink(for: peer) })
                    }
                }
            }
        } catch {
            registryFailed("opening a first packet", error, device)
        }
    }

    private func confirm(
        _ packet: UnsafeMutableRawBufferPointer, _ sessionID: UInt32, from address: PeerAddress,
        _ peer: ServerPeer
    ) {
        establish(sessionID, peer, from: address) { () throws(OuroborosError) in
            try acceptor.confirm(
                sessionID: sessionID, packet: packet, from: address, device: peer.accepted,
                now: now, link: { () throws(OuroborosError) in try makeLink(for: peer) })
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

    /// Goes on once a moved credential is durable. If that fails the device starts from what the registry has.
    func save(
        _ moved: Credential?, of device: DeviceID, from epoch: UInt64,
        _ then: @escaping (_ isSaved: Bool) -> Void
    ) {
        guard let moved else {
            then(true)
            return
        }
        registry.save(moved, from: epoch) { [self] result in
            switch result {
            case .success: then(true)
            case .failure(let error):
                statistics.registryFailures += 1
                logger?.log(
                    level: error.isBusy ? .debug : .error,
                    "an epoch could not be saved, so the device is not served: \(error)",
                    metadata: ["device": "\(device)"])
                forget(device)
                then(false)
            }
            if registry.local == nil {
                finishTurn()
            }
        }
    }

    func registryFailed(_ what: String, _ error: any Error, _ device: DeviceID) {
        statistics.registryFailures += 1
        // One that gateways share says itself when it cannot be reached, and who has a file that it is busy.
        logger?.log(
            level: registry.shared != nil || error.isBusy ? .debug : .error, "\(what): \(error)",
            metadata: ["device": "\(device)"])
    }

    /// Tells a tap of what no link and no acceptor got to see.
    func tap(_ packet: UnsafeRawBufferPointer, from address: PeerAddress?, _ reason: DropReason) {
        configuration.link.tap?.report(.received(Array(packet), from: address, .dropped(reason)))
    }

    func count(_ reason: DropReason) {
        statistics.drops[reason, default: 0] += 1
    }

    /// A HELLO that is dropped. Where one side is set wrong the device never connects, so the operator is told.
    func count(_ reason: DropReason, of device: AcceptedDevice, now: UInt64) {
        count(reason)
        let credential = device.credential
        if let problem = DeviceProblem(reason) {
            tell(problem, of: credential.deviceID)
        }
        guard reason == .kind, device.tellsKind(now: now) else { return }
        let (here, there) =
            credential.kind == .fixed ? ("fixed", "evolving") : ("evolving", "fixed")
        logger?.warning(
            """
            the device has its credential as \(there), and here it is \(here): it cannot connect until one side is set \
            as the other (add the device here again as \(there), or provision it as \(here))
            """, metadata: ["device": "\(credential.deviceID)"])
    }
}

extension Error {
    fileprivate var isBusy: Bool { (self as? OuroborosError)?.code == .busy }
}
