import NIOCore
import Ouroboros

/// What a client's engine is told by its carrier, on the event loop.
protocol ClientCarrierDelegate: AnyObject, Sendable {
    /// True when the packet was authentic, and new.
    func receive(_ packet: UnsafeMutableRawBufferPointer) -> Bool
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
    /// The server's name has no address, or nobody tells it; it is looked up again.
    func lookUpFailed(_ error: any Error)
}

/// How one client's packets travel. It is bound to the client's event loop.
protocol ClientCarrier: AnyObject {
    func open(for delegate: any ClientCarrierDelegate) -> EventLoopFuture<Void>
    /// Why nothing reaches the server, if that is known.
    var lastError: (any Error)? { get }
    var isWritable: Bool { get }
    func write(_ packet: UnsafeRawBufferPointer)
    func flush()
    /// A stream: stops or goes on reading. Datagrams are always read.
    func pause(_ pauses: Bool)
    func close() -> EventLoopFuture<Void>
}

/// Where a client finds its server: an address, or a name that is looked up as often as it takes.
struct ServerPlace: Sendable {
    enum Where: Sendable {
        case address(SocketAddress)
        case name(HostAndPort, any NameLookup)
    }

    let transport: Transport
    let place: Where

    init(_ endpoint: Endpoint) {
        transport = endpoint.transport
        place = .address(endpoint.address)
    }

    init(_ transport: Transport, _ name: HostAndPort, _ lookup: any NameLookup) {
        self.transport = transport
        place = .name(name, lookup)
    }

    /// As users read it.
    var description: String {
        switch place {
        case .address(let address): address.readable
        case .name(let name, _): name.description
        }
    }

    /// What carries one client's packets here, with a socket of its own.
    func carrier(on loop: any EventLoop, _ configuration: ClientConfiguration) -> any ClientCarrier {
        guard let network = transport.datagramNetwork else {
            return StreamCarrier(on: loop, to: self, firstTimeout: configuration.link.firstTimeout)
        }
        let socket = SharedSocket(network, on: loop, receiveBatch: configuration.receiveBatch)
        return SharedCarrier(socket, on: loop, to: self, isAlone: true)
    }
}
