import Logging
import NIOCore
import Ouroboros

/// HELLO, and what becomes of the device that it names.
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

    /// Asks the registry for a device, and goes on with its answer, at once or later.
    func lookUp(_ device: DeviceID, _ then: @escaping (RegistryAnswer) -> Void) {
        registry.credential(of: device) { [self] answer in
            guard !isClosing else { return }
            switch answer {
            case .known: break
            case .busy: count(.limit)
            case .failed(let error): registryFailed("looking a device up", error, device)
            }
            then(answer)
            if registry.local == nil {
                finishTurn()
            }
        }
    }

    /// The same with the device's packet, which is copied if the answer comes later.
    func lookUp(
        _ device: DeviceID, for packet: UnsafeMutableRawBufferPointer, from address: PeerAddress?,
        _ then: @escaping (UnsafeMutableRawBufferPointer, RegistryAnswer) -> Void
    ) {
        guard registry.local == nil else {
            lookUp(device) { then(packet, $0) }
            return
        }
        let copy = Array(packet)
        lookUp(device) { [self] answer in
            var bytes = copy
            bytes.withUnsafeMutableBytes { packet in
                if case .busy = answer {
                    tap(UnsafeRawBufferPointer(packet), from: address, .limit)
                }
                then(packet, answer)
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
