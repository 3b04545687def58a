import NIOCore
import Ouroboros

/// How packets travel.
public enum Transport: Sendable {
    case udp
    /// One session a stream.
    case tcp
    /// Over something else that carries datagrams, such as a test's simulated network.
    case datagrams(any DatagramNetwork)
}

/// Where a server listens, or where a client finds it.
public struct Endpoint: Sendable {
    public var transport: Transport
    public var address: SocketAddress

    public init(_ transport: Transport, _ address: SocketAddress) {
        self.transport = transport
        self.address = address
    }

    public static func udp(_ address: SocketAddress) -> Endpoint { Endpoint(.udp, address) }
    public static func tcp(_ address: SocketAddress) -> Endpoint { Endpoint(.tcp, address) }
}

extension Endpoint: CustomStringConvertible {
    public var description: String {
        switch transport {
        case .udp: "udp://\(address.readable)"
        case .tcp: "tcp://\(address.readable)"
        case .datagrams: address.readable
        }
    }
}

/// Something that carries datagrams between addresses.
public protocol DatagramNetwork: Sendable {
    /// A port that is used on `loop` alone. A client's `address` is one of the server's family, with port 0.
    func makePort(on loop: any EventLoop, at address: SocketAddress, receiveBatch: Int) -> any DatagramPort
}

/// One port of a ``DatagramNetwork``, on an event loop.
public protocol DatagramPort: AnyObject, Sendable {
    /// Opens it and gives its address. It is told to `receiver`, weakly held, what comes.
    func open(for receiver: any DatagramReceiver) -> EventLoopFuture<SocketAddress>
    /// Takes a packet, which goes out with ``flush()``, or is lost.
    func write(_ packet: UnsafeRawBufferPointer, to address: SocketAddress)
    func flush()
    func close() -> EventLoopFuture<Void>
}

/// What a port tells, on its event loop.
public protocol DatagramReceiver: AnyObject, Sendable {
    /// The packet may be changed; it is gone after the call.
    func receive(_ packet: UnsafeMutableRawBufferPointer, from address: SocketAddress)
    /// What was at hand has been read.
    func readComplete()
    /// The system ended the port, which is opened anew.
    func socketLost(_ error: (any Error)?)
}

/// The system's UDP sockets.
package struct SystemSockets: DatagramNetwork {
    private let sharesPort: Bool

    /// With `sharesPort`, other sockets of this program have the address too.
    package init(sharesPort: Bool = false) {
        self.sharesPort = sharesPort
    }

    package func makePort(
        on loop: any EventLoop, at address: SocketAddress, receiveBatch: Int
    ) -> any DatagramPort {
        DatagramSocket(
            on: loop, localAddress: address, receiveBatch: receiveBatch, sharesPort: sharesPort)
    }
}

extension Transport {
    var isStream: Bool {
        if case .tcp = self { true } else { false }
    }

    /// Nil for streams.
    var datagramNetwork: (any DatagramNetwork)? { datagramNetwork(sharesPort: false) }

    func datagramNetwork(sharesPort: Bool) -> (any DatagramNetwork)? {
        switch self {
        case .udp: SystemSockets(sharesPort: sharesPort)
        case .tcp: nil
        case .datagrams(let network): network
        }
    }
}
