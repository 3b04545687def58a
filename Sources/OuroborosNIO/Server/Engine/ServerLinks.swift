import CoreMetrics
import Logging
import NIOCore
import Ouroboros

/// A worker's links: how they begin, send, tell, and end.
extension ServerEngine {
    /// The device's link that was heard last, over whichever transport. One that drains takes nothing more.
    func reachable(_ device: DeviceID) -> ServerPeer? {
        [devices.peers[device], streams.devices[device]?.newest].compactMap { $0 }
            .filter { $0.link != nil && !$0.isClosing && $0.retires == nil }
            .max { $0.lastHeard < $1.lastHeard }
    }

    func links(of device: DeviceID) -> [ServerPeer] {
        [devices.peers[device]].compactMap { $0 } + (streams.devices[device]?.peers ?? [])
    }

    /// Lets a link send, tell and take until it has nothing more to do.
    func pump(_ peer: ServerPeer) {
        guard let link = peer.link else { return }
        updateRoom(peer)
        let now = now
        do {
            var isBusy = true
            while isBusy {
                isBusy = false
                while peer.stream?.isWritable ?? true, try link.transmit(now: now, { write($0, $1, peer) }) {
                    isBusy = true
                }
                isBusy = try drain(peer, link) || isBusy
                isBusy = peer.sends.admit(to: link, now: now) || isBusy
            }
        } catch {
            logger?.error("a link ends: \(error)", metadata: ["device": "\(peer.device)"])
            dropLink(of: peer)
            return
        }
        if peer.sends.hasWaiting, pool.used == pool.count {
            agenda.awaitPlace(peer)
        }
        peer.stream?.flush()
        devices.note(link.sessionIDs, of: peer)
        if peer.sessions.isEmpty {
            dropLink(of: peer)
        } else {
            let maySend = peer.stream?.isWritable ?? true
            agenda.set(peer, to: LoopTimer.wake(link.deadline(now: now), maySend: maySend, now: now))
        }
    }

    private func write(_ packet: UnsafeRawBufferPointer, _ address: PeerAddress?, _ peer: ServerPeer) {
        if let stream = peer.stream {
            stream.write(packet)
            return
        }
        guard let address else { return }
        guard address.entry == 0 else {
            hub.answer(packet, to: address)
            return
        }
        if let route = peer.route(to: address, hub.ways) {
            write(packet, to: route.address, over: route.way)
        }
    }

    func write(_ packet: UnsafeRawBufferPointer, to address: SocketAddress, over way: ServerWays.Way) {
        if ports.indices.contains(way.socket) {
            ports[way.socket].port.write(packet, to: address, from: way.local)
        }
    }

    func flush() {
        for port in ports {
            port.port.flush()
        }
    }

    func transmitPong(_ peer: ServerPeer, _ link: Link) throws {
        guard peer.stream?.isWritable ?? true else { return }
        _ = try link.transmitPong(now: now) { write($0, $1, peer) }
    }

    func makeLink(for peer: ServerPeer) throws(OuroborosError) -> Link {
        if let link = peer.link {
            return link
        }
        if devices.linked.count >= configuration.maximumDevices, let longestSilent = devices.longestSilent {
            statistics.displacedDevices += 1
            dropLink(of: longestSilent)
        }
        let settings = peer.stream == nil ? configuration.link : configuration.link.overStream
        let link = try Link(serverWith: pool, configuration: settings)
        devices.give(link, to: peer)
        peer.isClosing = false
        peer.retires = nil
        updateRoom(peer)
        return link
    }

    func dropLink(of peer: ServerPeer) {
        guard let link = devices.takeLink(of: peer) else { return }
        statistics.links.add(link.statistics)
        room.leave(peer)
        agenda.awaitNoPlace(peer)
        peer.sends.finishAll()
        agenda.set(peer, to: nil)
        if let stream = peer.stream {
            forget(stream)
        }
        let device = peer.device
        if devices.peers[device]?.link == nil, streams.devices[device]?.peers.isEmpty ?? true {
            hub.disconnected(device, by: worker)
            hub.events.send(.disconnected(device))
        }
    }

    /// What an accepted packet brings is taken before the next one comes.
    func settle(_ peer: ServerPeer, _ link: Link) {
        do {
            _ = try drain(peer, link)
            try transmitPong(peer, link)
            agenda.touch(peer)
        } catch {
            logger?.error("a link ends: \(error)", metadata: ["device": "\(peer.device)"])
            dropLink(of: peer)
        }
    }

    // MARK: Events and room

    func drain(_ peer: ServerPeer, _ link: Link) throws -> Bool {
        var any = false
        while let event = try link.nextEvent() {
            any = true
            handle(event, peer, link)
        }
        return any
    }

    private func handle(_ event: LinkEvent, _ peer: ServerPeer, _ link: Link) {
        let device = peer.device
        switch event {
        case .message(let message):
            statistics.messages += 1
            statistics.messageBytes += UInt64(message.payload.count)
            if arrivals.isEmpty {
                room.beginTurn()
            }
            arrivals.append(
                ReceivedMessage(
                    device: device, message: message, worker: worker, link: peer.linkNumber))
            if message.isLastOfPacket {
                room.take(for: peer)
                if peer.stream != nil || !room.takesAll || arrivals.count >= configuration.receiveBatch {
                    updateRoom(peer)
                }
            }
        case .delivered(let id):
            roundTrip.recordMilliseconds(link.roundTripMilliseconds)
            peer.sends.finish(id, .success(()))
        case .sent(let id): peer.sends.finish(id, .success(()))
        case .unknown(let id, let isStalled): peer.sends.finish(id, .failure(.unknown(isStalled: isStalled)))
        case .stalled(_, let size):
            logger?.warning("\(OuroborosError.stalledText(size))", metadata: ["device": "\(device)"])
            hub.events.send(.stalled(device, size: size))
        case .failed(let id): peer.sends.finish(id, .failure(.neverSent))
        case .established(let session):
            hub.events.send(.connected(device, sessionID: session))
            tellHeard(device)
        case .closed(let reason, let byPeer, let missing):
            hub.events.send(.closed(device, reason, byDevice: byPeer, missing: missing))
        case .dead: hub.events.send(.silent(device))
        case .alive: hub.events.send(.heardAgain(device))
        case .epochMoved, .pong: break
        }
    }

    func updateRoom(_ peer: ServerPeer) {
        guard let link = peer.link else { return }
        if let stream = peer.stream {
            stream.isFull = room.stopsReading(of: peer) || !link.mayReadStream
            link.setStreamReading(!stream.isFull, now: now)
        }
        if let free = room.news(for: peer, isClosing: peer.isClosing) {
            link.setRoom(free: free, capacity: room.most)
        }
    }

    /// Those whose room was taken by others hear that there is some again.
    func feedStarved() {
        let hungry = room.takeFed()
        guard !hungry.isEmpty else { return }
        for peer in hungry {
            updateRoom(peer)
            pump(peer)
        }
        flush()
    }
}

extension OuroborosError {
    static func notConnected(_ device: DeviceID) -> OuroborosError {
        OuroborosError(.notConnected, "device \(device) is not connected now")
    }
}
