import NIOCore
import Ouroboros

/// One port under many clients' links, each with its own server and session.
// @unchecked: its state is touched on the port's event loop alone: the port and the engines' carriers call there.
final class SharedSocket: DatagramReceiver, @unchecked Sendable {
    private let port: any DatagramPort
    private var carriers: [SocketAddress: [SharedCarrier]] = [:]
    /// Those of a server that have a HELLO out.
    private var shaking: [SocketAddress: [SharedCarrier]] = [:]
    /// Whose a session is. An id is the server's choice: two servers may choose the same.
    private var owners: [SocketAddress: [UInt32: SharedCarrier]] = [:]
    private var touched: [SharedCarrier] = []
    private var isFlushing = false

    init(_ port: any DatagramPort) {
        self.port = port
    }

    func open() -> EventLoopFuture<SocketAddress> { port.open(for: self) }
    func close() -> EventLoopFuture<Void> { port.close() }
    func write(_ packet: UnsafeRawBufferPointer, to address: SocketAddress) {
        port.write(packet, to: address)
    }

    /// After a read batch, one flush for all.
    func flush() {
        if !isFlushing {
            port.flush()
        }
    }

    func add(_ carrier: SharedCarrier) {
        carriers[carrier.server, default: []].append(carrier)
    }

    func remove(_ carrier: SharedCarrier) {
        carriers[carrier.server]?.removeAll { $0 === carrier }
        if carriers[carrier.server]?.isEmpty ?? false {
            carriers[carrier.server] = nil
        }
        forgetHandshake(of: carrier)
        for id in carrier.sessions {
            owners[carrier.server]?[id] = nil
        }
    }

    /// A HELLO of this one goes out.
    func handshakeBegins(of carrier: SharedCarrier) {
        guard !carrier.isShaking else { return }
        carrier.isShaking = true
        shaking[carrier.server, default: []].append(carrier)
    }

    private func forgetHandshake(of carrier: SharedCarrier) {
        carrier.isShaking = false
        shaking[carrier.server]?.removeAll { $0 === carrier }
    }

    func receive(_ packet: UnsafeMutableRawBufferPointer, from address: SocketAddress) {
        // Answers from anywhere but a client's own server are not for it.
        guard let known = carriers[address] else { return }
        if known.count == 1 {
            give(packet, to: known[0])
        } else if let owner = owners[address]?[Packet.sessionID(of: UnsafeRawBufferPointer(packet))] {
            give(packet, to: owner)
            return
        }
        // An answer to a HELLO: the one whose it is finds that its tag verifies; the others drop it unchanged.
        for carrier in shaking[address] ?? [] {
            if known.count > 1 {
                give(packet, to: carrier)
            }
            if !carrier.isShakingHands {
                forgetHandshake(of: carrier)
                noteSessions(of: carrier)
            }
        }
    }

    private func noteSessions(of carrier: SharedCarrier) {
        let held = carrier.heldSessions
        for id in carrier.sessions where !held.contains(id) {
            owners[carrier.server]?[id] = nil
        }
        for id in held {
            owners[carrier.server, default: [:]][id] = carrier
        }
        carrier.sessions = held
    }

    private func give(_ packet: UnsafeMutableRawBufferPointer, to carrier: SharedCarrier) {
        carrier.delegate?.receive(packet)
        if !carrier.isTouched {
            carrier.isTouched = true
            touched.append(carrier)
        }
    }

    func readComplete() {
        let turn = touched
        touched.removeAll(keepingCapacity: true)
        isFlushing = true
        for carrier in turn {
            carrier.isTouched = false
            carrier.delegate?.readComplete()
        }
        isFlushing = false
        port.flush()
    }

    func socketLost(_ error: (any Error)?) {
        for carrier in carriers.values.joined() {
            carrier.delegate?.socketLost(error)
        }
    }
}

/// One client's part of a ``SharedSocket``.
final class SharedCarrier: ClientCarrier {
    let server: SocketAddress
    private let loop: any EventLoop
    private let socket: SharedSocket
    private(set) weak var delegate: (any ClientCarrierDelegate)?
    var isTouched = false
    /// As the socket has it: a HELLO is out, and these sessions are known.
    var isShaking = false
    var sessions: [UInt32] = []

    init(_ socket: SharedSocket, on loop: any EventLoop, server: SocketAddress) {
        self.loop = loop
        self.socket = socket
        self.server = server
    }

    var heldSessions: [UInt32] { delegate?.heldSessions ?? [] }
    var isShakingHands: Bool { delegate?.isShakingHands ?? false }

    func open(for delegate: any ClientCarrierDelegate) -> EventLoopFuture<Void> {
        self.delegate = delegate
        socket.add(self)
        return loop.makeSucceededVoidFuture()
    }

    var isWritable: Bool { true }

    func write(_ packet: UnsafeRawBufferPointer) {
        if Packet.sessionID(of: packet) == 0 {
            socket.handshakeBegins(of: self)
        }
        socket.write(packet, to: server)
    }

    func flush() { socket.flush() }
    func pause(_ pauses: Bool) {}

    func close() -> EventLoopFuture<Void> {
        socket.remove(self)
        return loop.makeSucceededVoidFuture()
    }
}
