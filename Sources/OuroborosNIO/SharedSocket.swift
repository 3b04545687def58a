import NIOCore
import Ouroboros

/// One port under many clients' links, each with its own server and session.
// @unchecked: its state is touched on the port's event loop alone.
final class SharedSocket: DatagramReceiver, @unchecked Sendable {
    private let port: any DatagramPort
    private var carriers: [SocketAddress: [SharedCarrier]] = [:]
    /// Whose a session was when it was last looked for.
    private var owners: [UInt32: SharedCarrier] = [:]
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
        owners = owners.filter { $0.value !== carrier }
    }

    func receive(_ packet: UnsafeMutableRawBufferPointer, from address: SocketAddress) {
        // Answers from anywhere but a client's own server are not for it.
        guard let known = carriers[address] else { return }
        if known.count == 1 {
            give(packet, to: known[0])
            return
        }
        let id = Packet.sessionID(of: UnsafeRawBufferPointer(packet))
        if let owner = owners[id], owner.server == address, owner.holds(id) {
            give(packet, to: owner)
        } else if let owner = known.first(where: { $0.holds(id) }) {
            owners[id] = owner
            give(packet, to: owner)
        } else {
            // An answer to a HELLO: the one whose it is finds that its tag verifies; the others drop it unchanged.
            for carrier in known where carrier.isShakingHands {
                give(packet, to: carrier)
            }
        }
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
// @unchecked: its state is touched on the port's event loop alone.
final class SharedCarrier: ClientCarrier, @unchecked Sendable {
    let server: SocketAddress
    private let loop: any EventLoop
    private let socket: SharedSocket
    private(set) weak var delegate: (any ClientCarrierDelegate)?
    var isTouched = false

    init(_ socket: SharedSocket, on loop: any EventLoop, server: SocketAddress) {
        self.loop = loop
        self.socket = socket
        self.server = server
    }

    func holds(_ session: UInt32) -> Bool { delegate?.holds(session) ?? false }
    var isShakingHands: Bool { delegate?.isShakingHands ?? false }

    func open(for delegate: any ClientCarrierDelegate) -> EventLoopFuture<Void> {
        loop.submit { [self] in
            self.delegate = delegate
            socket.add(self)
        }
    }

    var isWritable: Bool { true }
    func write(_ packet: UnsafeRawBufferPointer) { socket.write(packet, to: server) }
    func flush() { socket.flush() }
    func pause(_ pauses: Bool) {}

    func close() -> EventLoopFuture<Void> {
        socket.remove(self)
        return loop.makeSucceededVoidFuture()
    }
}
