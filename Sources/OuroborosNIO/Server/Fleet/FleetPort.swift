import Logging
import NIOCore
import Ouroboros

/// A gateway's private socket to the other gateways of its fleet.
///
/// A packet is passed on once, from where it landed to its owner; what comes here never goes to a third gateway.
/// Answers go back the way they came, as a NAT lets only the address that the device sent to answer.
// @unchecked: its state is set before it is open and then touched on `loop` alone: what other loops pass on comes
// through `queue`.
final class FleetPort: DatagramReceiver, @unchecked Sendable {
    private struct Peer {
        let address: SocketAddress
        let channel: FleetChannel
    }

    private let loop: any EventLoop
    private let number: UInt8
    private let socket: DatagramSocket
    private var peers: [UInt8: Peer] = [:]
    private let queue: PassedPackets<(FleetForward.Kind, UInt8)>
    private let logger: Logger?
    private weak var hub: ServerHub?
    private(set) var statistics = ForwardStatistics()

    init(
        _ fleet: FleetConfiguration, _ forwarding: FleetConfiguration.Forwarding, secret: SecretKey,
        on loop: any EventLoop, hub: ServerHub, logger: Logger?
    ) throws {
        self.loop = loop
        self.hub = hub
        self.logger = logger
        number = fleet.gatewayNumber
        socket = DatagramSocket(
            on: loop, localAddress: forwarding.address, receiveBatch: 32,
            largest: FleetForward.maximumSize + 1)
        queue = PassedPackets(to: loop)
        for (other, address) in forwarding.peers {
            peers[other] = Peer(
                address: address,
                channel: try FleetChannel(
                    fleetSecret: secret, secondSecret: fleet.secondSecret, from: number, to: other))
        }
    }

    func open() -> EventLoopFuture<SocketAddress> {
        socket.open(for: self).flatMapErrorThrowing { [socket] in
            throw OuroborosError.cannotListen(on: .udp(socket.localAddress), $0)
        }
    }

    /// From any loop.
    func close() -> EventLoopFuture<Void> {
        loop.flatSubmit { [socket] in socket.close() }
    }

    // MARK: Out

    /// From any loop.
    func pass(
        _ kind: FleetForward.Kind, _ packet: UnsafeRawBufferPointer, _ address: PeerAddress, to gateway: UInt8
    ) {
        queue.put(packet, address, (kind, gateway)) { [self] in sendQueued() }
    }

    private func sendQueued() {
        for passed in queue.take() {
            let (kind, gateway) = passed.note
            guard let peer = peers[gateway] else {
                statistics.withoutPeer += 1
                continue
            }
            do {
                try passed.bytes.withUnsafeBytes { packet in
                    try peer.channel.seal(kind, packet, passed.address, wallTime: WallTime.milliseconds()) {
                        socket.write($0, to: peer.address)
                    }
                }
                statistics.sent += 1
            } catch {
                logger?.error("passing a packet on: \(error)", metadata: ["gateway": "\(gateway)"])
            }
        }
        statistics.overflowed = queue.overflowed
        socket.flush()
    }

    // MARK: In

    func receive(_ data: UnsafeMutableRawBufferPointer, from address: SocketAddress) {
        guard let sender = FleetForward.sender(of: UnsafeRawBufferPointer(data)), let peer = peers[sender]
        else {
            drop(.malformed)
            return
        }
        do {
            switch try peer.channel.open(data, wallTime: WallTime.milliseconds()) {
            case .dropped(let reason): drop(reason)
            case .taken(let forward): take(forward, from: sender)
            }
        } catch {
            logger?.error("a forward: \(error)", metadata: ["gateway": "\(sender)"])
        }
    }

    private func take(_ forward: FleetForward, from sender: UInt8) {
        let id = Packet.sessionID(of: UnsafeRawBufferPointer(forward.packet))
        guard id != 0, let device = forward.address.socketAddress else {
            drop(.nonsense)
            return
        }
        let isOurs =
            switch forward.kind {
            case .toOwner: id >> 24 == UInt32(number)
            // A gateway speaks for its own sessions alone.
            case .toDevice: id >> 24 == UInt32(sender)
            }
        guard isOurs else {
            drop(.unknownSession)
            return
        }
        statistics.received += 1
        switch forward.kind {
        case .toOwner:
            let path = PeerAddress(device, way: forward.address.way, entry: sender)
            hub?.deliver(UnsafeRawBufferPointer(forward.packet), sessionID: id, from: path)
        case .toDevice:
            hub?.send(UnsafeRawBufferPointer(forward.packet), to: device, over: forward.address.way)
        }
    }

    private func drop(_ reason: DropReason) {
        statistics.drops[reason, default: 0] += 1
    }

    func readComplete() {
        hub?.flush()
    }

    func socketLost(_ error: (any Error)?) {
        logger?.warning(
            "the socket to the other gateways was lost and is opened anew: \(error.map { "\($0)" } ?? "no reason")"
        )
    }
}

/// What a gateway passed on to others, and took from them.
public struct ForwardStatistics: Sendable, Hashable {
    public var sent: UInt64 = 0
    public var received: UInt64 = 0
    /// Packets for gateways that are no peers.
    public var withoutPeer: UInt64 = 0
    /// Packets that found the queue full.
    public var overflowed: UInt64 = 0
    /// What came and was none, or not for here, by reason: `ahead` is a clock that is more than 30 s off.
    public var drops: [DropReason: UInt64] = [:]
}
