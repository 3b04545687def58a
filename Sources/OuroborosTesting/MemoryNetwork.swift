import NIOCore
import OuroborosNIO
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// A network in memory, for tests of client and server code: it loses, delays, reorders and repeats datagrams as
/// a seed says.
///
/// ```swift
/// let network = MemoryNetwork(seed: 1, conditions: .init(loss: 0.2, delay: .milliseconds(5)))
/// let gateway = network.endpoint(port: 5700)
/// let server = try await OuroborosServer.bind(to: [gateway], registry: registry)
/// let client = try await OuroborosClient.connect(to: gateway, credential: credential)
/// ```
///
/// On ordinary event loops time is the real one. With ``VirtualTime`` hours pass in a second.
public final class MemoryNetwork: DatagramNetwork {
    /// What happens to a datagram. Shares are from 0 to 1.
    public struct Conditions: Sendable, Hashable {
        public var loss: Double
        public var duplication: Double
        /// The share that is held back for up to `jitter`, so that others overtake it.
        public var reordering: Double
        public var delay: Duration
        public var jitter: Duration

        public init(
            loss: Double = 0, duplication: Double = 0, reordering: Double = 0, delay: Duration = .zero,
            jitter: Duration = .zero
        ) {
            self.loss = loss
            self.duplication = duplication
            self.reordering = reordering
            self.delay = delay
            self.jitter = jitter
        }
    }

    /// Datagrams.
    public struct Counts: Sendable, Hashable {
        public var sent = 0
        public var lost = 0
        public var repeated = 0
        public var heldBack = 0
        /// To addresses where nobody is.
        public var astray = 0
    }

    fileprivate struct State {
        var conditions: Conditions
        var counts = Counts()
        var random: SeededGenerator
        var ports: [SocketAddress: MemoryPort] = [:]
        var nextPort = 49_152
    }

    private let state: Mutex<State>

    public init(seed: UInt64, conditions: Conditions = .init()) {
        state = Mutex(State(conditions: conditions, random: SeededGenerator(seed: seed)))
    }

    public var conditions: Conditions {
        get { state.withLock(\.conditions) }
        set { state.withLock { $0.conditions = newValue } }
    }

    public var counts: Counts { state.withLock(\.counts) }

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

    func carry(_ packet: [UInt8], from source: SocketAddress, to target: SocketAddress) {
        let (port, delays) = state.withLock { state -> (MemoryPort?, [Duration]) in
            state.counts.sent += 1
            let delays = state.delays()
            let port = state.ports[target]
            state.counts.astray += port == nil ? 1 : 0
            return (port, delays)
        }
        for delay in delays {
            port?.deliver(packet, from: source, after: delay)
        }
    }
}

extension MemoryNetwork.State {
    /// One for each copy that arrives.
    fileprivate mutating func delays() -> [Duration] {
        // The same draws for each datagram, so that one more condition does not change the others.
        let (loss, again, late) = (random.share(), random.share(), random.share())
        let (first, second) = (random.share(), random.share())
        if loss < conditions.loss {
            counts.lost += 1
            return []
        }
        var delay = conditions.delay
        if late < conditions.reordering {
            counts.heldBack += 1
            delay += conditions.jitter * first
        }
        guard again < conditions.duplication else { return [delay] }
        counts.repeated += 1
        return [delay, conditions.delay + conditions.jitter * second]
    }
}

/// A small generator: the same numbers for the same seed.
public struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var state: UInt64

    public init(seed: UInt64) {
        state = seed
    }

    public mutating func next() -> UInt64 {
        // SplitMix64.
        state &+= 0x9e37_79b9_7f4a_7c15
        var word = state
        word = (word ^ (word >> 30)) &* 0xbf58_476d_1ce4_e5b9
        word = (word ^ (word >> 27)) &* 0x94d0_49bb_1331_11eb
        return word ^ (word >> 31)
    }

    /// From 0 up to 1.
    mutating func share() -> Double {
        Double(next() >> 11) * 0x1p-53
    }
}
