import NIOCore
import Ouroboros

/// What a server keeps of a device that comes over TCP.
final class StreamDevice {
    let id: DeviceID
    var accepted: AcceptedDevice
    /// Those with a session, newest first.
    var peers: [ServerPeer] = []
    var places = SessionPlaces()
    var lastHeard: UInt64

    init(_ accepted: AcceptedDevice, id: DeviceID, now: UInt64) {
        self.accepted = accepted
        self.id = id
        lastHeard = now
    }

    var newest: ServerPeer? { peers.first }
}

/// One connection, with its one session. It is bound to the server's event loop.
final class ServerStream: PacketStreamReceiver {
    let host: String
    let address: SocketAddress?
    let accepted: UInt64
    /// The session that its WELCOME named: the only one whose packets it may bring.
    var pendingSession: UInt32?
    var device: StreamDevice?
    var peer: ServerPeer?
    /// Replaced by a newer connection of the device: when it ends at the latest.
    var retires: UInt64?
    /// What keeps it from being read: the application takes no more; the registry is asked, or makes an epoch durable.
    var isFull = false { didSet { packets?.pause(isFull || isWaiting) } }
    var isWaiting = false { didSet { packets?.pause(isFull || isWaiting) } }
    private(set) var packets: PacketStream?
    private weak var engine: ServerEngine?

    init(_ channel: any Channel, host: String, engine: ServerEngine) {
        self.host = host
        address = channel.remoteAddress
        self.engine = engine
        accepted = engine.now
        packets = PacketStream(channel, for: self)
    }

    var isWritable: Bool { packets?.isWritable ?? false }
    func write(_ packet: UnsafeRawBufferPointer) { packets?.write(packet) }
    func flush() { packets?.flush() }
    func close() -> EventLoopFuture<Void>? { packets?.close() }

    /// No time of it runs out.
    var isQuiet: Bool {
        peer != nil && !isWaiting && retires == nil && packets?.partialSince == nil
            && packets?.stalledSince == nil
    }

    /// A packet stays half sent, or the other side takes nothing. Whose application is slow takes nothing, too, and says
    /// meanwhile that it is there; what this side does not read it cannot hear.
    func isStalled(at now: NIODeadline, after limit: TimeAmount) -> Bool {
        func isOver(_ since: NIODeadline?) -> Bool { since.map { now - $0 > limit } ?? false }
        let heard = peer.map { NIODeadline.milliseconds($0.lastHeard) }
        return isOver(packets?.partialSince)
            || (!isFull && isOver(packets?.stalledSince) && isOver(heard ?? packets?.stalledSince))
    }

    func receive(_ packet: UnsafeMutableRawBufferPointer, on stream: PacketStream) {
        engine?.receive(packet, over: self)
    }

    func readComplete(on stream: PacketStream) {
        engine?.finishTurn()
    }

    func becameWritable(_ stream: PacketStream) {
        guard let peer, let engine else { return }
        engine.agenda.touch(peer)
        engine.finishTurn()
    }

    func ended(_ stream: PacketStream, _ error: (any Error)?) {
        engine?.streamEnded(self, isBroken: error is OuroborosError)
    }
}
