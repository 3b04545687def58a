import NIOCore
import NIOPosix

@testable import OuroborosNIO

/// A UDP balancer for one client: what comes from it goes to one server or another, and answers come back from
/// whichever server they were sent by.
// @unchecked: its state is touched on `loop` alone.
final class Balancer: @unchecked Sendable {
    private final class Side: DatagramReceiver, @unchecked Sendable {
        let socket: DatagramSocket
        var received: (UnsafeRawBufferPointer, SocketAddress) -> Void = { _, _ in }

        init(on loop: any EventLoop) {
            socket = DatagramSocket(on: loop, localAddress: loopback, receiveBatch: 8)
        }

        func receive(_ packet: UnsafeMutableRawBufferPointer, from address: SocketAddress) {
            received(UnsafeRawBufferPointer(packet), address)
        }

        func readComplete() {}
        func socketLost(_ error: (any Error)?) {}
    }

    private let loop: any EventLoop
    private let (client, server): (Side, Side)
    private var place: SocketAddress
    private var clientAddress: SocketAddress?
    /// Answers from another server than the one that the client's packets go to.
    private(set) var strangers = 0

    private init(to server: SocketAddress, on loop: any EventLoop) {
        self.loop = loop
        (client, self.server) = (Side(on: loop), Side(on: loop))
        place = server
        client.received = { [unowned self] packet, address in
            clientAddress = address
            self.server.socket.write(packet, to: place)
            self.server.socket.flush()
        }
        self.server.received = { [unowned self] packet, address in
            guard let clientAddress else { return }
            // As a NAT does it: nobody else is let through.
            guard address == place else {
                strangers += 1
                return
            }
            client.socket.write(packet, to: clientAddress)
            client.socket.flush()
        }
    }

    static func start(to server: SocketAddress) async throws -> Balancer {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let balancer = Balancer(to: server, on: loop)
        _ = try await balancer.client.socket.open(for: balancer.client).get()
        _ = try await balancer.server.socket.open(for: balancer.server).get()
        return balancer
    }

    var address: SocketAddress { client.socket.localAddress }

    func switchTo(_ server: SocketAddress) async throws {
        try await loop.submit { [self] in place = server }.get()
    }

    func close() async {
        _ = try? await loop.flatSubmit { [self] in client.socket.close() }.get()
        _ = try? await loop.flatSubmit { [self] in server.socket.close() }.get()
    }
}
