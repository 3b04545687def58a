import LibC
import NIOCore

@testable import OuroborosNIO

/// The system's sockets, for one port that can move to a new one.
final class RoamingNetwork: DatagramNetwork {
    private let port = Locked<RoamingPort?>(nil)

    func makePort(on loop: any EventLoop, at address: SocketAddress, receiveBatch: Int) -> any DatagramPort {
        let made = RoamingPort(on: loop, at: address)
        port.withLock { $0 = made }
        return made
    }

    /// From now on packets go out of another port, and the old one is gone.
    func roam() async throws {
        try await port.withLock { $0 }?.roam().get()
    }
}

// @unchecked: its state is touched on `loop` alone.
private final class RoamingPort: DatagramPort, DatagramReceiver, @unchecked Sendable {
    private let loop: any EventLoop
    private let address: SocketAddress
    private var current: DatagramSocket?
    private weak var receiver: (any DatagramReceiver)?

    init(on loop: any EventLoop, at address: SocketAddress) {
        self.loop = loop
        self.address = address
    }

    func open(for receiver: any DatagramReceiver) -> EventLoopFuture<SocketAddress> {
        loop.flatSubmit { [self] in
            self.receiver = receiver
            return move()
        }
    }

    private func move() -> EventLoopFuture<SocketAddress> {
        let socket = DatagramSocket(on: loop, localAddress: address, receiveBatch: 8)
        return socket.open(for: self).map { [self] address in
            _ = current?.close()
            current = socket
            return address
        }
    }

    func roam() -> EventLoopFuture<Void> {
        loop.flatSubmit { [self] in move().map { _ in } }
    }

    func write(_ packet: UnsafeRawBufferPointer, to address: SocketAddress) {
        current?.write(packet, to: address)
    }

    func flush() { current?.flush() }
    func close() -> EventLoopFuture<Void> { current?.close() ?? loop.makeSucceededVoidFuture() }

    func receive(_ packet: UnsafeMutableRawBufferPointer, from address: SocketAddress) {
        receiver?.receive(packet, from: address)
    }

    func readComplete() { receiver?.readComplete() }
    func socketLost(_ error: (any Error)?) {}
}
