import CNIOLinux
import LibC
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

extension Endpoint {
    /// Where there is no IPv6, `[::]` is `0.0.0.0`.
    package var servedHere: Endpoint {
        guard address.protocol == .inet6, address.isWildcard, !SocketAddress.hasIPv6 else { return self }
        var all = sockaddr_in()
        all.sin_family = sa_family_t(AF_INET)
        all.sin_port = in_port_t(UInt16(clamping: address.port ?? 0)).bigEndian
        return Endpoint(transport, SocketAddress(all))
    }

    /// `[::]` serves both families, but not where IPv4 has an endpoint with the same port.
    func leavesIPv4(to endpoints: [Endpoint]) -> Bool {
        guard address.protocol == .inet6, address.isWildcard, address.port != 0 else { return false }
        return endpoints.contains {
            $0.address.protocol == .inet && $0.address.port == address.port
                && $0.transport.isStream == transport.isStream
        }
    }
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
    /// The same for an answer, which leaves from the address that it answers for.
    func write(_ packet: UnsafeRawBufferPointer, to address: SocketAddress, from local: SocketAddress?)
    func flush()
    func close() -> EventLoopFuture<Void>
}

/// What a port tells, on its event loop.
public protocol DatagramReceiver: AnyObject, Sendable {
    /// The packet may be changed; it is gone after the call.
    func receive(_ packet: UnsafeMutableRawBufferPointer, from address: SocketAddress)
    /// The same where one port has many addresses: which of them the packet came to, if that is known.
    func receive(
        _ packet: UnsafeMutableRawBufferPointer, from address: SocketAddress, at local: SocketAddress?)
    /// What was at hand has been read.
    func readComplete()
    /// The system ended the port, which is opened anew.
    func socketLost(_ error: (any Error)?)
}

extension DatagramPort {
    public func write(
        _ packet: UnsafeRawBufferPointer, to address: SocketAddress, from local: SocketAddress?
    ) {
        write(packet, to: address)
    }
}

extension DatagramReceiver {
    public func receive(
        _ packet: UnsafeMutableRawBufferPointer, from address: SocketAddress, at local: SocketAddress?
    ) {
        receive(packet, from: address)
    }
}

/// The system's UDP sockets.
package struct SystemSockets: DatagramNetwork {
    private let options: DatagramSocket.Options

    package init(_ options: DatagramSocket.Options = []) {
        self.options = options
    }

    package func makePort(
        on loop: any EventLoop, at address: SocketAddress, receiveBatch: Int
    ) -> any DatagramPort {
        DatagramSocket(
            on: loop, localAddress: address, receiveBatch: receiveBatch, options: options)
    }
}

extension Transport {
    var isStream: Bool {
        if case .tcp = self { true } else { false }
    }

    /// Nil for streams.
    var datagramNetwork: (any DatagramNetwork)? { datagramNetwork([]) }

    func datagramNetwork(_ options: DatagramSocket.Options) -> (any DatagramNetwork)? {
        switch self {
        case .udp: SystemSockets(options)
        case .tcp: nil
        case .datagrams(let network): network
        }
    }
}
