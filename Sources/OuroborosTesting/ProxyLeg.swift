import NIOCore
import OuroborosNIO

/// A proxy's socket towards the server, for one client until its address changes.
// @unchecked: its state is touched on the port's event loop alone.
final class ProxyLeg: DatagramReceiver, @unchecked Sendable {
    private let port: any DatagramPort
    private let take: (UnsafeMutableRawBufferPointer, SocketAddress) -> Void
    private var opened: EventLoopFuture<Void>

    init(
        on loop: any EventLoop, towards server: SocketAddress,
        take: @escaping (UnsafeMutableRawBufferPointer, SocketAddress) -> Void
    ) {
        port = SystemSockets().makePort(on: loop, at: server.anyLocal, receiveBatch: 32)
        self.take = take
        opened = loop.makeSucceededVoidFuture()
    }

    func open() -> EventLoopFuture<Void> {
        opened = port.open(for: self).map { _ in }
        return opened
    }

    func send(_ packet: [UInt8], to server: SocketAddress) {
        opened.assumeIsolated().whenSuccess { [port] in
            packet.withUnsafeBytes { port.write($0, to: server) }
            port.flush()
        }
    }

    func close() -> EventLoopFuture<Void> {
        opened.flatMap { [port] in port.close() }.recover { _ in }
    }

    func receive(_ packet: UnsafeMutableRawBufferPointer, from address: SocketAddress) {
        take(packet, address)
    }

    func readComplete() {}
    func socketLost(_ error: (any Error)?) {}
}
