import LibC
import NIOCore
import OuroborosNIO

/// A network in memory, for tests of client and server code: an ``Impairment`` and a seed say what becomes of
/// datagrams, those of all directions alike.
///
/// ```swift
/// let network = MemoryNetwork(seed: 1, impairment: .init(loss: 0.2, delay: .milliseconds(5)))
/// let gateway = network.endpoint(port: 5700)
/// let server = try await OuroborosServer.bind(to: [gateway], registry: registry)
/// let client = try await OuroborosClient.connect(to: gateway, credential: credential)
/// ```
///
/// On ordinary event loops time is the real one. With ``VirtualTime`` hours pass in a second.
public final class MemoryNetwork: DatagramNetwork {
    /// Datagrams.
    public struct Counts: Sendable, Hashable {
        public var path = ImpairmentCounts()
        /// To addresses where nobody is.
        public var astray = 0
    }

    fileprivate struct State {
        var impairer: Impairer
        var astray = 0
        var ports: [SocketAddress: MemoryPort] = [:]
        var nextPort = 49_152
    }

    private let state: Locked<State>

    public init(seed: UInt64, impairment: Impairment = .init()) {
        state = Locked(State(impairer: Impairer(impairment, seed: seed)))
    }

    public var impairment: Impairment {
        get { state.withLock(\.impairer.impairment) }
        set { state.withLock { $0.impairer.impairment = newValue } }
    }

    public var counts: Counts {
        state.withLock { Counts(path: $0.impairer.counts, astray: $0.astray) }
    }

    /// A place of this network: for a server to listen at, and for clients to connect to.
    public func endpoint(host: String = "10.0.0.1", port: Int) throws -> Endpoint {
        Endpoint(.datagrams(self), try SocketAddress(ipAddress: host, port: port))
    }

    public func makePort(
        on loop: any EventLoop, at address: SocketAddress, receiveBatch: Int
    ) -> any DatagramPort {
        MemoryPort(on: self, loop: loop, at: address)
    }

    // MARK: For its ports

    func add(_ port: MemoryPort, at wanted: SocketAddress) throws -> SocketAddress {
        try state.withLock { state in
            var address = wanted
            if wanted.port == 0 {
                repeat {
                    state.nextPort += 1
                    address.port = state.nextPort
                } while state.ports[address] != nil
            }
            guard state.ports[address] == nil else {
                throw IOError(errnoCode: EADDRINUSE, reason: "bind")
            }
            state.ports[address] = port
            return address
        }
    }

    func remove(_ address: SocketAddress) {
        state.withLock { _ = $0.ports.removeValue(forKey: address) }
    }

    func carry(_ packet: [UInt8], from source: SocketAddress, to target: SocketAddress, now: Duration) {
        let (port, arrivals) = state.withLock { state -> (MemoryPort?, [Arrival]) in
            let port = state.ports[target]
            state.astray += port == nil ? 1 : 0
            return (
                port, state.impairer.arrivals(size: packet.count, headers: target.headerSize, now: now)
            )
        }
        guard let port else { return }
        for arrival in arrivals {
            var copy = packet
            arrival.apply(to: &copy)
            port.deliver(copy, from: source, after: arrival.delay)
        }
    }
}
