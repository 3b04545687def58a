import Logging
import NIOCore
import Ouroboros

/// One of a server's sockets for datagrams.
// @unchecked: `engine` is weak, set in `init` and never again; `lastWay` is touched on the event loop alone.
final class ServerPort: DatagramReceiver, @unchecked Sendable {
    let port: any DatagramPort
    let index: Int
    private let endpoint: Endpoint
    /// Most packets come to the same address as the one before.
    private var lastWay: (local: SocketAddress, number: UInt8)?
    private weak var engine: ServerEngine?

    init(_ port: any DatagramPort, _ endpoint: Endpoint, index: Int, engine: ServerEngine) {
        self.port = port
        self.endpoint = endpoint
        self.index = index
        self.engine = engine
    }

    func open() -> EventLoopFuture<Endpoint> {
        let endpoint = endpoint
        return port.open(for: self).map { Endpoint(endpoint.transport, $0) }
            .flatMapErrorThrowing { throw OuroborosError.cannotListen(on: endpoint, $0) }
    }

    func receive(_ packet: UnsafeMutableRawBufferPointer, from address: SocketAddress) {
        receive(packet, from: address, at: nil)
    }

    func receive(
        _ packet: UnsafeMutableRawBufferPointer, from address: SocketAddress, at local: SocketAddress?
    ) {
        engine?.receive(packet, from: address, at: local, over: self)
    }

    func way(to local: SocketAddress?, _ ways: ServerWays) -> UInt8 {
        if let lastWay, lastWay.local == local {
            return lastWay.number
        }
        let number = ways.number(of: .init(socket: index, local: local))
        lastWay = local.map { ($0, number) }
        return number
    }

    func readComplete() {
        engine?.finishTurn()
    }

    func socketLost(_ error: (any Error)?) {
        engine?.logger?.warning(
            "the socket was lost and is opened anew: \(error.map { "\($0)" } ?? "no reason")")
    }
}

/// Datagrams.
extension ServerEngine {
    func receive(
        _ packet: UnsafeMutableRawBufferPointer, from address: SocketAddress, at local: SocketAddress?,
        over port: ServerPort
    ) {
        let now = now
        let id = Packet.sessionID(of: UnsafeRawBufferPointer(packet))
        guard id != 0 else {
            receiveHello(packet, from: address, at: local, over: port, now: now)
            return
        }
        let source = PeerAddress(address, way: port.way(to: local, hub.ways))
        if let peer = devices.sessions[id], let link = peer.link {
            receive(packet, from: source, peer, link, now)
        } else if hub.passOn(UnsafeRawBufferPointer(packet), sessionID: id, from: source, by: worker) {
            statistics.passedOn += 1
        } else {
            receiveFirst(packet, sessionID: id, from: source, now: now)
        }
    }

    /// A packet that landed elsewhere, of a session that is this worker's, if there is one.
    func receive(
        _ packet: UnsafeMutableRawBufferPointer, sessionID id: UInt32, from address: PeerAddress,
        _ now: UInt64
    ) {
        if let peer = devices.sessions[id], let link = peer.link {
            receive(packet, from: address, peer, link, now)
        } else {
            receiveFirst(packet, sessionID: id, from: address, now: now)
        }
    }

    private func receive(
        _ packet: UnsafeMutableRawBufferPointer, from address: PeerAddress, _ peer: ServerPeer,
        _ link: Link, _ now: UInt64
    ) {
        guard !registry.saving.contains(peer.device) else {
            hold(packet, from: address, of: peer.device)
            return
        }
        switch link.receive(packet, from: address, now: now) {
        case .taken:
            peer.lastHeard = now
            tellHeard(peer.device)
        // The link counts its drops itself.
        case .dropped: break
        case .ended(let error): logger?.debug("\(error)", metadata: ["device": "\(peer.device)"])
        }
        settle(peer, link)
    }
}
