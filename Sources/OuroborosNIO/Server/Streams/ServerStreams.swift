import Logging
import NIOCore
import NIOPosix
import Ouroboros

/// A server's TCP connections, on its event loop.
final class ServerStreams {
    let acceptor: Acceptor
    var endpoints: [Endpoint] = []
    var listeners: [any Channel] = []
    var connections: [ObjectIdentifier: ServerStream] = [:]
    var addresses: [String: Int] = [:]
    var devices: [DeviceID: StreamDevice] = [:]
    /// Connections that are forgotten and not closed yet; the end of the server waits for them.
    var ending = 0
    var allEnded: EventLoopPromise<Void>?
    /// When the connections are looked through next.
    var due: UInt64?

    static let busyPeriod: UInt64 = 1000
    private static let quietPeriod: UInt64 = 10_000

    init(acceptor: Acceptor) {
        self.acceptor = acceptor
    }

    /// Between two looks. What stalls meanwhile is seen before its time is over.
    static func period(isQuiet: Bool, stall: Duration) -> UInt64 {
        isQuiet ? max(busyPeriod, min(quietPeriod, stall.milliseconds / 2)) : busyPeriod
    }

    /// Devices without a session are forgotten after so long.
    func forgetSilent(now: UInt64, for silence: UInt64) {
        for device in Array(devices.values)
        where device.peers.isEmpty && !device.accepted.hasPendingSessions && now - device.lastHeard >= silence
        {
            devices[device.id] = nil
        }
    }
}

extension ServerEngine {
    // MARK: Connections

    func listen(_ endpoint: Endpoint) -> EventLoopFuture<Endpoint> {
        var bootstrap = ServerBootstrap(group: loop)
            .serverChannelOption(.backlog, value: 256)
            .serverChannelOption(.socketOption(.sharedPort), value: configuration.workers > 1 ? 1 : 0)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelInitializer { [self] channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(AcceptPause { [self] in tellShortage($0) })
                }
            }
            .childChannelOption(.autoRead, value: false)
            .childChannelOption(
                .recvAllocator,
                value: AdaptiveRecvByteBufferAllocator(minimum: 256, initial: 1024, maximum: 32_768)
            )
            .childChannelInitializer { [self] channel in
                PacketStream.options(of: channel).flatMapThrowing { [self] in try accept(channel) }
            }
        if endpoint.leavesIPv4(to: streams.endpoints) {
            bootstrap = bootstrap.serverChannelOption(.onlyIPv6, value: 1)
        }
        return bootstrap.bind(to: endpoint.address)
            .flatMapThrowing { [self] channel in
                streams.listeners.append(channel)
                return Endpoint(.tcp, channel.localAddress ?? endpoint.address)
            }
            .flatMapErrorThrowing { throw OuroborosError.cannotListen(on: endpoint, $0) }
    }

    private func accept(_ channel: any Channel) throws {
        let host = channel.remoteAddress?.customer ?? ""
        guard !isClosing, streams.connections.count < configuration.maximumStreams,
            streams.addresses[host, default: 0] < configuration.streamsPerAddress
        else {
            statistics.refusedStreams += 1
            if !isClosing {
                tellRefusedStream(from: host)
            }
            channel.close(promise: nil)
            return
        }
        let stream = ServerStream(channel, host: host, engine: self)
        streams.connections[ObjectIdentifier(stream)] = stream
        streams.addresses[host, default: 0] += 1
        streams.due = min(streams.due ?? .max, now + ServerStreams.busyPeriod)
        try stream.packets?.start()
        finishTurn()
    }

    func stopListening() {
        for listener in streams.listeners {
            listener.close(promise: nil)
        }
        for stream in Array(streams.connections.values) where stream.peer == nil {
            forget(stream)
        }
    }

    func endStreams() -> [EventLoopFuture<Void>] {
        for stream in Array(streams.connections.values) {
            forget(stream)
        }
        let ended = loop.makePromise(of: Void.self)
        streams.allEnded = ended
        if streams.ending == 0 {
            ended.succeed()
        }
        let listeners = streams.listeners.map { listener -> EventLoopFuture<Void> in
            listener.close(promise: nil)
            return listener.closeFuture
        }
        streams.devices.removeAll()
        return listeners + [ended.futureResult]
    }

    /// It was not forgotten yet.
    func holds(_ stream: ServerStream) -> Bool {
        streams.connections[ObjectIdentifier(stream)] != nil
    }

    /// Takes it out of the tables, and ends it once what was written has gone.
    func forget(_ stream: ServerStream) {
        guard streams.connections.removeValue(forKey: ObjectIdentifier(stream)) != nil else { return }
        let left = streams.addresses[stream.host, default: 1] - 1
        streams.addresses[stream.host] = left > 0 ? left : nil
        if let peer = stream.peer {
            stream.device?.peers.removeAll { $0 === peer }
        }
        guard let closed = stream.close() else { return }
        streams.ending += 1
        closed.whenComplete { [self] _ in
            streams.ending -= 1
            if streams.ending == 0 {
                streams.allEnded?.succeed()
            }
        }
    }

    /// The other side ended the stream.
    func streamEnded(_ stream: ServerStream, isBroken: Bool) {
        statistics.brokenStreams += isBroken ? 1 : 0
        endSession(of: stream)
        forget(stream)
        finishTurn()
    }

    /// A rule was broken, or nothing came in time.
    func breakStream(_ stream: ServerStream) {
        guard holds(stream) else { return }
        statistics.brokenStreams += 1
        endSession(of: stream)
        forget(stream)
    }

    func endSession(of stream: ServerStream) {
        guard let peer = stream.peer, let link = peer.link else { return }
        link.streamEnded()
        do {
            _ = try drain(peer, link)
        } catch {
            logger?.error("a link ends: \(error)", metadata: ["device": "\(peer.device)"])
        }
        dropLink(of: peer)
    }

    /// Ends connections that are slow or were replaced.
    func tendStreams(_ now: UInt64) {
        guard !streams.connections.isEmpty else {
            streams.due = nil
            return
        }
        guard let due = streams.due, due <= now else { return }
        let handshake = configuration.streamHandshakeTimeout.milliseconds
        let stall = TimeAmount(configuration.streamStallTimeout)
        let isQuiet = streams.connections.values.allSatisfy(\.isQuiet)
        streams.due = now + ServerStreams.period(isQuiet: isQuiet, stall: configuration.streamStallTimeout)
        for stream in Array(streams.connections.values) {
            let isLate = (stream.peer == nil || stream.isWaiting) && now - stream.accepted >= handshake
            if isLate || stream.isStalled(at: loop.now, after: stall) {
                statistics.slowStreams += 1
                endSession(of: stream)
                forget(stream)
            } else if let retires = stream.retires, retires <= now {
                endSession(of: stream)
                forget(stream)
            }
        }
    }

    // MARK: Packets

    func receive(_ packet: UnsafeMutableRawBufferPointer, over stream: ServerStream) {
        let now = now
        guard let peer = stream.peer else {
            receiveFirst(packet, over: stream)
            return
        }
        guard let link = peer.link else { return }
        switch link.receive(packet, now: now) {
        case .taken:
            peer.lastHeard = now
            stream.device?.lastHeard = now
            tellHeard(peer.device)
            settle(peer, link)
        // What came after this side's CLOSE.
        case .dropped: break
        case .ended(let error):
            logger?.debug("a stream ends: \(error)", metadata: ["device": "\(peer.device)"])
            breakStream(stream)
        }
    }
}
