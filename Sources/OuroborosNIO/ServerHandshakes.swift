import NIOCore
import Ouroboros

/// HELLO, and the first packet of a session.
extension ServerEngine {
    func receiveHello(
        _ packet: UnsafeRawBufferPointer, from address: SocketAddress, over port: ServerPort, now: UInt64
    ) {
        guard !isClosing else { return }
        guard let device = Packet.claimedDevice(ofHello: packet) else {
            count(.malformed)
            tap(packet, from: PeerAddress(address), .malformed)
            return
        }
        let isNew = peers[device] == nil
        do {
            guard let peer = try peer(for: device, now: now) else {
                tap(packet, from: PeerAddress(address), .handshake)
                return
            }
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
                guard saved(moved, of: peer) else { return }
                welcome.withUnsafeBytes { port.port.write($0, to: address) }
            }
            tickAcceptor(now)
        } catch {
            statistics.registryFailures += 1
            logger?.error("answering a HELLO: \(error)", metadata: ["device": "\(device)"])
        }
    }

    /// The device as the registry has it now; nil for one that it does not know.
    private func peer(for device: DeviceID, now: UInt64) throws -> ServerPeer? {
        guard let credential = try registry.credential(of: device) else {
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

    private func links(of device: DeviceID) -> [ServerPeer] {
        [peers[device]].compactMap { $0 } + (streams.devices[device]?.peers ?? [])
    }

    func disconnect(_ device: DeviceID) {
        for peer in links(of: device) where peer.link != nil {
            beginClose(peer)
        }
        finishTurn()
    }

    func dropUnknownDevices() throws {
        for device in Set(peers.keys).union(streams.devices.keys) {
            guard let credential = try registry.credential(of: device) else {
                forget(device)
                continue
            }
            // A new root key ends what the old one began. A later epoch is another gateway's doing.
            let held = [peers[device]?.accepted, streams.devices[device]?.accepted].compactMap(\.?.credential)
            if held.contains(where: {
                $0 != credential && ($0.kind != credential.kind || credential.epoch <= $0.epoch)
            }) {
                forget(device)
            }
        }
        finishTurn()
    }

    /// A session of an epoch that the device has left, over the other transport or another gateway, is none.
    func isCurrent(_ accepted: AcceptedDevice, _ device: DeviceID) throws -> Bool {
        let known = accepted.credential
        return try known.kind == .fixed || registry.credential(of: device) == known
    }

    func receiveFirst(
        _ packet: UnsafeMutableRawBufferPointer, sessionID: UInt32, from address: PeerAddress, now: UInt64
    ) {
        guard let device = acceptor.device(ofPending: sessionID), let peer = peers[device], !isClosing else {
            count(.unknownSession)
            tap(UnsafeRawBufferPointer(packet), from: address, .unknownSession)
            return
        }
        do {
            guard try isCurrent(peer.accepted, device) else {
                count(.epoch)
                tap(UnsafeRawBufferPointer(packet), from: address, .epoch)
                return
            }
            let confirmation = try acceptor.confirm(
                sessionID: sessionID, packet: packet, from: address, device: peer.accepted,
                now: now, link: { () throws(OuroborosError) in try makeLink(for: peer) })
            switch confirmation {
            case .dropped(let reason):
                count(reason)
            case .confirmed(let moved):
                guard let link = peer.link else { return }
                peer.lastHeard = now
                guard saved(moved, of: peer) else { return }
                link.epochSaved()
                noteSessions(of: peer, link)
                settle(peer, link)
            }
        } catch {
            logger?.error(
                "confirming a session: \(error)",
                metadata: ["device": "\(device)", "session": "\(sessionID)"])
            dropLink(of: peer)
        }
    }

    /// Makes a moved credential durable. Without that the device starts from what the registry has.
    private func saved(_ moved: Credential?, of peer: ServerPeer) -> Bool {
        if saved(moved, of: peer.device) {
            return true
        }
        dropLink(of: peer)
        peers[peer.device] = nil
        return false
    }

    func saved(_ moved: Credential?, of device: DeviceID) -> Bool {
        guard let moved else { return true }
        do {
            try registry.advance(to: moved)
            return true
        } catch {
            statistics.registryFailures += 1
            logger?.error(
                "an epoch could not be saved, so the device is not served: \(error)",
                metadata: ["device": "\(device)"])
            return false
        }
    }

    /// Tells a tap of what no link and no acceptor got to see.
    func tap(_ packet: UnsafeRawBufferPointer, from address: PeerAddress?, _ reason: DropReason) {
        configuration.link.tap?.report(.received(Array(packet), from: address, .dropped(reason)))
    }

    func count(_ reason: DropReason) {
        statistics.drops[reason, default: 0] += 1
    }
}
