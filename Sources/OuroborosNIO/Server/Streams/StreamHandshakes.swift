import Ouroboros

/// HELLO, and the first packet of a session, on a stream. While the registry is asked or makes an epoch durable the stream
/// is not read, and one that ends meanwhile is answered no more.
extension ServerEngine {
    func receiveFirst(_ packet: UnsafeMutableRawBufferPointer, over stream: ServerStream) {
        let id = Packet.sessionID(of: UnsafeRawBufferPointer(packet))
        guard id == stream.pendingSession ?? 0 else {
            breakStream(stream)
            return
        }
        if id == 0 {
            receiveHello(packet, over: stream)
        } else {
            receiveFirst(packet, sessionID: id, over: stream)
        }
    }

    private func receiveHello(_ packet: UnsafeMutableRawBufferPointer, over stream: ServerStream) {
        guard !isClosing, let id = Packet.claimedDevice(ofHello: UnsafeRawBufferPointer(packet)) else {
            drop(UnsafeRawBufferPointer(packet), .malformed, over: stream)
            return
        }
        guard Packet.isForStream(UnsafeRawBufferPointer(packet)) else {
            drop(UnsafeRawBufferPointer(packet), .transport, over: stream)
            return
        }
        lookUp(id, for: packet, over: stream) { [self] packet, known in
            answer(UnsafeRawBufferPointer(packet), of: id, known, over: stream)
        }
    }

    /// Where the registry fails there is no answer: the stream ends when its time for the handshake is over.
    private func lookUp(
        _ device: DeviceID, for packet: UnsafeMutableRawBufferPointer, over stream: ServerStream,
        _ then: @escaping (UnsafeMutableRawBufferPointer, SharedDevice) -> Void
    ) {
        stream.isWaiting = true
        lookUp(device, for: packet, from: nil) { [self] packet, answer in
            guard holds(stream) else { return }
            switch answer {
            case .known(let known): then(packet, known)
            case .busy: breakStream(stream)
            case .failed: break
            }
        }
    }

    private func answer(
        _ packet: UnsafeRawBufferPointer, of id: DeviceID, _ known: SharedDevice,
        over stream: ServerStream
    ) {
        let now = now
        let isNew = streams.devices[id] == nil
        guard let device = streamDevice(id, known, now) else {
            tap(packet, from: nil, .handshake)
            breakStream(stream)
            return
        }
        device.accepted.generation = known.generation
        let epoch = device.accepted.epoch
        do {
            let answer = try streams.acceptor.answer(
                hello: packet, of: device.accepted, link: device.newest?.link, now: now,
                isTaken: { devices.isTaken($0) })
            switch answer {
            case .dropped(let reason):
                count(reason, of: device.accepted, now: now)
                if isNew, reason != .kind, device.accepted.credential.kind == .fixed {
                    streams.devices[id] = nil
                }
                breakStream(stream)
            case .welcome(let welcome, let moved):
                device.lastHeard = now
                stream.device = device
                let session = welcome.withUnsafeBytes { Packet.sessionID(of: $0) }
                // A challenge names no session, and another HELLO follows.
                stream.pendingSession = session == 0 ? nil : session
                save(moved, of: id, from: epoch, over: stream) {
                    welcome.withUnsafeBytes { stream.write($0) }
                    stream.flush()
                }
            }
            tickAcceptors(now)
        } catch {
            registryFailed("answering a HELLO", error, id)
            breakStream(stream)
        }
    }

    /// The device as the registry has it now; nil for one that it does not know.
    private func streamDevice(_ id: DeviceID, _ known: SharedDevice, _ now: UInt64) -> StreamDevice? {
        guard let credential = known.credential else {
            refuseUnknown(id)
            return nil
        }
        guard let device = streams.devices[id] else {
            let device = StreamDevice(
                AcceptedDevice(credential, acceptor: streams.acceptor), id: id, now: now)
            streams.devices[id] = device
            return device
        }
        let held = device.accepted.credential
        if held != credential {
            if held.isReplaced(by: credential) {
                for peer in device.peers {
                    dropLink(of: peer)
                }
            }
            // Older connections keep the one before.
            streams.acceptor.dropPending(of: device.accepted, before: .max)
            device.accepted = AcceptedDevice(credential, acceptor: streams.acceptor)
        }
        return device
    }

    private func receiveFirst(
        _ packet: UnsafeMutableRawBufferPointer, sessionID id: UInt32, over stream: ServerStream
    ) {
        guard let device = stream.device, device.accepted.credential.kind == .evolving else {
            if registry.shared != nil {
                number(packet, id, over: stream)
            } else {
                confirm(packet, id, over: stream)
            }
            return
        }
        // A session of an epoch that the device has left, over the other transport or another gateway, is none.
        lookUp(device.id, for: packet, over: stream) { [self] packet, known in
            guard known.credential == device.accepted.credential else {
                drop(UnsafeRawBufferPointer(packet), .epoch, over: stream)
                return
            }
            confirm(packet, id, over: stream)
        }
    }

    /// The device of a stream's pending session, as long as there is one.
    private func pendingDevice(_ id: UInt32, over stream: ServerStream) -> StreamDevice? {
        guard !isClosing, let device = stream.device, streams.devices[device.id] === device,
            streams.acceptor.device(ofPending: id) == device.id
        else { return nil }
        return device
    }

    private static var noAddress: PeerAddress { PeerAddress(UnsafeRawBufferPointer(start: nil, count: 0)) }

    /// A first packet of a fixed credential, at one of several gateways.
    private func number(_ packet: UnsafeMutableRawBufferPointer, _ id: UInt32, over stream: ServerStream) {
        guard let device = pendingDevice(id, over: stream) else {
            drop(UnsafeRawBufferPointer(packet), .unknownSession, over: stream)
            return
        }
        guard !registry.saving.contains(device.id) else {
            drop(UnsafeRawBufferPointer(packet), .limit, over: stream)
            return
        }
        do {
            let opening = try streams.acceptor.open(
                sessionID: id, packet: packet, from: Self.noAddress, keeps: true, now: now)
            switch opening {
            case .dropped(let reason):
                count(reason)
                breakStream(stream)
            case .opened(let first):
                stream.isWaiting = true
                takeNumber(for: first, of: device.accepted, at: streams.acceptor) { [self] isNewest in
                    guard holds(stream) else { return }
                    guard isNewest, let device = pendingDevice(id, over: stream) else {
                        breakStream(stream)
                        return
                    }
                    establish(id, device, over: stream, number: first.nextNumber) {
                        peer throws(OuroborosError) in
                        try streams.acceptor.adopt(
                            first, device: device.accepted, now: now,
                            link: { () throws(OuroborosError) in try makeLink(for: peer) })
                    }
                }
            }
        } catch {
            registryFailed("opening a first packet", error, device.id)
            breakStream(stream)
        }
    }

    private func confirm(_ packet: UnsafeMutableRawBufferPointer, _ id: UInt32, over stream: ServerStream) {
        guard let device = pendingDevice(id, over: stream) else {
            drop(UnsafeRawBufferPointer(packet), .unknownSession, over: stream)
            return
        }
        establish(id, device, over: stream) { peer throws(OuroborosError) in
            try streams.acceptor.confirm(
                sessionID: id, packet: packet, from: Self.noAddress, device: device.accepted,
                now: now, link: { () throws(OuroborosError) in try makeLink(for: peer) })
        }
    }

    private func establish(
        _ id: UInt32, _ device: StreamDevice, over stream: ServerStream, number: UInt64? = nil,
        _ confirm: (ServerPeer) throws(OuroborosError) -> Acceptor.Confirmation
    ) {
        let now = now
        let epoch = device.accepted.epoch
        let peer = ServerPeer(device.accepted, device: device.id, now: now, stream: stream)
        do {
            switch try confirm(peer) {
            case .dropped(let reason):
                count(reason)
                breakStream(stream)
            case .confirmed(let moved):
                guard let link = peer.link else { return }
                let number = number ?? moved?.epoch
                peer.number = number ?? 0
                stream.peer = peer
                replace(device, with: peer, now)
                note(stream.address, ofSessionOf: device.id, in: &device.places)
                devices.note(link.sessionIDs, of: peer)
                save(moved, of: device.id, from: epoch, over: stream) { [self] in
                    link.epochSaved()
                    settle(peer, link)
                    told(of: id, device.id, number: number ?? .max)
                }
            }
        } catch {
            registryFailed("confirming a session", error, device.id)
            dropLink(of: peer)
            breakStream(stream)
        }
    }

    /// The connection before drains for a minute; the one before that is over.
    private func replace(_ device: StreamDevice, with peer: ServerPeer, _ now: UInt64) {
        for old in device.peers.dropFirst() {
            if let stream = old.stream {
                endSession(of: stream)
            }
        }
        device.newest?.stream?.retires = now + 60_000
        streams.due = min(streams.due ?? .max, now + ServerStreams.busyPeriod)
        device.peers.insert(peer, at: 0)
    }

    private func save(
        _ moved: Credential?, of device: DeviceID, from epoch: UInt64, over stream: ServerStream,
        _ then: @escaping () -> Void
    ) {
        stream.isWaiting = true
        save(moved, of: device, from: epoch) { [self] isSaved in
            guard holds(stream) else { return }
            guard isSaved else {
                breakStream(stream)
                return
            }
            then()
            stream.isWaiting = false
        }
    }

    /// On a stream nothing comes twice: what is dropped ends it.
    private func drop(
        _ packet: UnsafeRawBufferPointer, _ reason: DropReason, over stream: ServerStream
    ) {
        count(reason)
        tap(packet, from: nil, reason)
        breakStream(stream)
    }
}
