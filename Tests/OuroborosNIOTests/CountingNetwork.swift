import LibC
import NIOCore
import OuroborosNIO

@testable import OuroborosNIO

/// The system's sockets, each known by its number, and deaf when that is asked for.
final class CountingNetwork: DatagramNetwork {
    struct Ports {
        var made = 0
        /// Those whose socket is open, and those of which an object is left.
        var open: Set<Int> = []
        var alive: Set<Int> = []
    }

    fileprivate let ports = Locked(Ports())
    fileprivate let deaf = Locked(false)

    var made: Int { ports.withLock(\.made) }
    var open: Int { ports.withLock(\.open.count) }
    /// Nothing is left of those that were made.
    var isGone: Bool { ports.withLock { $0.open.isEmpty && $0.alive.isEmpty } }

    func becomeDeaf() {
        deaf.withLock { $0 = true }
    }

    func makePort(on loop: any EventLoop, at address: SocketAddress, receiveBatch: Int) -> any DatagramPort {
        CountedPort(
            SystemSockets().makePort(on: loop, at: address, receiveBatch: receiveBatch), on: loop,
            network: self)
    }
}

private final class CountedPort: DatagramPort, DatagramReceiver {
    private let port: any DatagramPort
    private let loop: any EventLoop
    private let network: CountingNetwork
    private let number: Int
    private let receiver = Locked<Weak>(Weak())

    private struct Weak: Sendable {
        weak var receiver: (any DatagramReceiver)?
    }

    init(_ port: any DatagramPort, on loop: any EventLoop, network: CountingNetwork) {
        self.port = port
        self.loop = loop
        self.network = network
        number = network.ports.withLock { ports in
            ports.made += 1
            ports.alive.insert(ports.made)
            return ports.made
        }
    }

    deinit {
        _ = network.ports.withLock { $0.alive.remove(number) }
    }

    func open(for receiver: any DatagramReceiver) -> EventLoopFuture<SocketAddress> {
        self.receiver.withLock { $0.receiver = receiver }
        // On the loop, so that it is noted in the turn in which it is open.
        return loop.flatSubmit { [self] in
            port.open(for: self).map { [network, number] address in
                _ = network.ports.withLock { $0.open.insert(number) }
                return address
            }
        }
    }

    func write(_ packet: UnsafeRawBufferPointer, to address: SocketAddress) {
        port.write(packet, to: address)
    }

    func flush() { port.flush() }

    func close() -> EventLoopFuture<Void> {
        port.close().map { [network, number] in _ = network.ports.withLock { $0.open.remove(number) } }
    }

    func receive(_ packet: UnsafeMutableRawBufferPointer, from address: SocketAddress) {
        guard !network.deaf.withLock({ $0 }) else { return }
        receiver.withLock { $0.receiver }?.receive(packet, from: address)
    }

    func readComplete() { receiver.withLock { $0.receiver }?.readComplete() }
    func socketLost(_ error: (any Error)?) { receiver.withLock { $0.receiver }?.socketLost(error) }
}
