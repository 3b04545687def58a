import NIOCore
import OuroborosNIO
import Synchronization

@testable import OuroborosNIO

/// The system's sockets, counted, and deaf when that is asked for.
final class CountingNetwork: DatagramNetwork {
    struct Counts: Equatable {
        /// Sockets that are open, and objects that still hold one.
        var open = 0
        var alive = 0
    }

    fileprivate let counts = Mutex(Counts())
    fileprivate let deaf = Mutex(false)

    var current: Counts { counts.withLock { $0 } }

    func becomeDeaf() {
        deaf.withLock { $0 = true }
    }

    func makePort(on loop: any EventLoop, at address: SocketAddress, receiveBatch: Int) -> any DatagramPort {
        CountedPort(
            SystemSockets().makePort(on: loop, at: address, receiveBatch: receiveBatch), network: self)
    }
}

private final class CountedPort: DatagramPort, DatagramReceiver {
    private let port: any DatagramPort
    private let network: CountingNetwork
    private let receiver = Mutex<Weak>(Weak())

    private struct Weak: Sendable {
        weak var receiver: (any DatagramReceiver)?
    }

    init(_ port: any DatagramPort, network: CountingNetwork) {
        self.port = port
        self.network = network
        network.counts.withLock { $0.alive += 1 }
    }

    deinit {
        network.counts.withLock { $0.alive -= 1 }
    }

    func open(for receiver: any DatagramReceiver) -> EventLoopFuture<SocketAddress> {
        self.receiver.withLock { $0.receiver = receiver }
        return port.open(for: self).map { [network] address in
            network.counts.withLock { $0.open += 1 }
            return address
        }
    }

    func write(_ packet: UnsafeRawBufferPointer, to address: SocketAddress) {
        port.write(packet, to: address)
    }

    func flush() { port.flush() }

    func close() -> EventLoopFuture<Void> {
        port.close().map { [network] in network.counts.withLock { $0.open -= 1 } }
    }

    func receive(_ packet: UnsafeMutableRawBufferPointer, from address: SocketAddress) {
        guard !network.deaf.withLock({ $0 }) else { return }
        receiver.withLock { $0.receiver }?.receive(packet, from: address)
    }

    func readComplete() { receiver.withLock { $0.receiver }?.readComplete() }
    func socketLost(_ error: (any Error)?) { receiver.withLock { $0.receiver }?.socketLost(error) }
}
