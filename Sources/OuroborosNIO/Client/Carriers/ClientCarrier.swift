import NIOCore
import Ouroboros

/// What a client's engine is told by its carrier, on the event loop.
protocol ClientCarrierDelegate: AnyObject, Sendable {
    func receive(_ packet: UnsafeMutableRawBufferPointer)
    func readComplete()
    /// For those who share a socket: whose packet is it?
    var heldSessions: [UInt32] { get }
    var isShakingHands: Bool { get }
    /// A stream: it takes packets again.
    func becameWritable()
    /// A stream is wanted: when it is to be opened, in the loop's milliseconds.
    func streamWanted() -> UInt64
    /// A fresh stream is there: the handshake begins.
    func streamOpened()
    /// The stream ended from the other side, or by a failure.
    func streamLost(_ error: (any Error)?)
    func socketLost(_ error: (any Error)?)
}

/// How one client's packets travel. It is bound to the client's event loop.
protocol ClientCarrier: AnyObject {
    func open(for delegate: any ClientCarrierDelegate) -> EventLoopFuture<Void>
    var isWritable: Bool { get }
    func write(_ packet: UnsafeRawBufferPointer)
    func flush()
    /// A stream: stops or goes on reading. Datagrams are always read.
    func pause(_ pauses: Bool)
    func close() -> EventLoopFuture<Void>
}

/// Datagrams to and from one server.
// @unchecked: its state is touched on the port's event loop alone: the port and the client's engine call there.
final class DatagramCarrier: ClientCarrier, DatagramReceiver, @unchecked Sendable {
    private let port: any DatagramPort
    private let server: SocketAddress
    private weak var delegate: (any ClientCarrierDelegate)?

    init(_ port: any DatagramPort, server: SocketAddress) {
        self.port = port
        self.server = server
    }

    func open(for delegate: any ClientCarrierDelegate) -> EventLoopFuture<Void> {
        self.delegate = delegate
        return port.open(for: self).map { _ in }
    }

    var isWritable: Bool { true }
    func write(_ packet: UnsafeRawBufferPointer) { port.write(packet, to: server) }
    func flush() { port.flush() }
    func pause(_ pauses: Bool) {}
    func close() -> EventLoopFuture<Void> { port.close() }

    func receive(_ packet: UnsafeMutableRawBufferPointer, from address: SocketAddress) {
        // A client answers no other address.
        guard address == server else { return }
        delegate?.receive(packet)
    }

    func readComplete() { delegate?.readComplete() }
    func socketLost(_ error: (any Error)?) { delegate?.socketLost(error) }
}

extension Endpoint {
    /// What carries one client's packets here, with a socket of its own.
    func carrier(on loop: any EventLoop, _ configuration: ClientConfiguration) -> any ClientCarrier {
        guard let network = transport.datagramNetwork else {
            return StreamCarrier(on: loop, server: address, firstTimeout: configuration.link.firstTimeout)
        }
        let port = network.makePort(
            on: loop, at: address.anyLocal, receiveBatch: configuration.receiveBatch)
        return DatagramCarrier(port, server: address)
    }
}
