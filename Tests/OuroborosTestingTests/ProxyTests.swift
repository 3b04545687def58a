import CNIOLinux
import LibC
import NIOCore
import NIOPosix
import Ouroboros
import OuroborosTesting
import TestSupport
import Testing

@testable import OuroborosNIO

/// A plain UDP socket that remembers what came, and answers when asked to.
private final class Peer: DatagramReceiver {
    private let loop: any EventLoop
    private let port: any DatagramPort
    private let came = Locked<[(packet: [UInt8], source: SocketAddress)]>([])
    private let echoes: Bool
    private let bound = Locked<SocketAddress?>(nil)

    init(_ host: String, echoes: Bool = false) async throws {
        loop = MultiThreadedEventLoopGroup.singleton.next()
        port = SystemSockets().makePort(
            on: loop, at: try SocketAddress(ipAddress: host, port: 0), receiveBatch: 8)
        self.echoes = echoes
        let address = try await port.open(for: self).get()
        bound.withLock { $0 = address }
    }

    var address: SocketAddress { bound.withLock { $0 } ?? .loopbackForNobody }
    var packets: [[UInt8]] { came.withLock { $0.map(\.packet) } }
    var sources: [SocketAddress] { came.withLock { $0.map(\.source) } }

    func send(_ packet: [UInt8], to address: SocketAddress) async throws {
        try await loop.submit { [port] in
            packet.withUnsafeBytes { port.write($0, to: address) }
            port.flush()
        }.get()
    }

    func close() async throws { try await loop.flatSubmit { [port] in port.close() }.get() }

    func receive(_ packet: UnsafeMutableRawBufferPointer, from address: SocketAddress) {
        came.withLock { $0.append((Array(packet), address)) }
        if echoes { port.write(UnsafeRawBufferPointer(packet), to: address) }
    }

    func readComplete() { port.flush() }
    func socketLost(_ error: (any Error)?) {}
}

extension SocketAddress {
    fileprivate static var loopbackForNobody: SocketAddress {
        SocketAddress(sockaddr_in())
    }
}

@Suite(.timeLimit(.minutes(3))) struct ProxyTests {
    /// Runs `body` with a server that echoes, a proxy before it, and clients.
    private func withProxy(
        _ configuration: ImpairmentProxy.Configuration = .init(), host: String = "127.0.0.1",
        serverHost: String = "127.0.0.1", clients: Int = 1,
        _ body: (Peer, ImpairmentProxy, [Peer]) async throws -> Void
    ) async throws {
        let server = try await Peer(serverHost, echoes: true)
        var peers: [Peer] = []
        for _ in 0..<clients { peers.append(try await Peer(host)) }
        let listen = try SocketAddress(ipAddress: host, port: 0)
        try await ImpairmentProxy.withProxy(at: listen, to: server.address, configuration: configuration) {
            proxy in
            try await body(server, proxy, peers)
        }
        for peer in peers + [server] { try await peer.close() }
    }

    @Test(arguments: ["127.0.0.1", "::1"], ["127.0.0.1", "::1"])
    func eachClientIsAPeerOfItsOwn(host: String, serverHost: String) async throws {
        try await withProxy(host: host, serverHost: serverHost, clients: 3) { server, proxy, clients in
            for (number, client) in clients.enumerated() {
                try await client.send([UInt8(number)], to: proxy.address)
                try await client.send([UInt8(number), 1], to: proxy.address)
                try await eventually("both come back to client \(number)") {
                    client.packets == [[UInt8(number)], [UInt8(number), 1]]
                }
                #expect(client.sources == [proxy.address, proxy.address])
            }
            #expect(Set(server.sources).count == 3)
            #expect(!server.sources.contains(proxy.address))
            let counts = try await proxy.counts()
            #expect(counts.clients == 3)
            #expect(counts.toServer.carried == 6)
            #expect(counts.toClient.carried == 6)
        }
    }

    @Test func aRebindingIsAnotherPort() async throws {
        try await withProxy { server, proxy, clients in
            try await clients[0].send([1], to: proxy.address)
            try await eventually("one comes back") { clients[0].packets.count == 1 }
            try await proxy.rebind()
            try await clients[0].send([2], to: proxy.address)
            try await eventually("a second comes back") { clients[0].packets.count == 2 }
            #expect(Set(server.sources).count == 2)
            // Nobody is at the old port any more.
            try await server.send([3], to: server.sources[0])
            try await clients[0].send([4], to: proxy.address)
            try await eventually("a third comes back") { clients[0].packets.count == 3 }
            #expect(clients[0].packets == [[1], [2], [4]])
            let counts = try await proxy.counts()
            #expect(counts.rebindings == 1)
        }
    }

    @Test func anotherServerIsReachedFromTheSamePort() async throws {
        let other = try await Peer("127.0.0.1", echoes: true)
        try await withProxy { server, proxy, clients in
            try await clients[0].send([1], to: proxy.address)
            try await eventually("one comes back") { clients[0].packets == [[1]] }
            try await proxy.redirect(to: other.address)
            try await clients[0].send([2], to: proxy.address)
            try await eventually("the other server's comes back") { clients[0].packets == [[1], [2]] }
            #expect(server.packets == [[1]] && other.packets == [[2]])
            #expect(server.sources == other.sources)
            // The first one is not let through any more.
            try await server.send([3], to: server.sources[0])
            try await eventually("a strange packet is counted") { try await proxy.counts().strange == 1 }
            #expect(clients[0].packets.count == 2)
        }
        try await other.close()
    }

    @Test func portsChangeInTime() async throws {
        var configuration = ImpairmentProxy.Configuration()
        configuration.rebindInterval = .milliseconds(20)
        try await withProxy(configuration) { server, proxy, clients in
            try await eventually("the server has seen three ports") {
                try await clients[0].send([1], to: proxy.address)
                return Set(server.sources).count >= 3
            }
        }
    }

    @Test func oneClientTooManyTakesTheOldestPlace() async throws {
        var configuration = ImpairmentProxy.Configuration()
        configuration.maximumClients = 2
        try await withProxy(configuration, clients: 5) { _, proxy, clients in
            for client in clients {
                try await client.send([1], to: proxy.address)
                try await eventually("it comes back") { client.packets.count == 1 }
            }
            let counts = try await proxy.counts()
            #expect(counts.clients == 2)
            #expect(counts.displaced == 3)
        }
    }

    @Test func aFloodTakesNoMoreThanItsRoom() async throws {
        let slow = Impairment(delay: .seconds(600))
        try await withProxy(.init(toServer: slow)) { server, proxy, clients in
            let packet = [UInt8](repeating: 7, count: 1200)
            // 8 MiB of datagrams with what each of them costs: 5,761 of these.
            try await eventually("the room is full") {
                for _ in 0..<500 { try await clients[0].send(packet, to: proxy.address) }
                return try await proxy.counts().toServer.overflowed > 0
            }
            let counts = try await proxy.counts().toServer
            #expect(counts.carried == (8 << 20) / (1200 + 256))
            #expect(server.packets.isEmpty)
            // What comes after the change is not held up by it.
            try await proxy.impair(toServer: .init(), toClient: .init())
            try await eventually("what is sent now comes back") {
                try await clients[0].send([1], to: proxy.address)
                return clients[0].packets.contains([1])
            }
        }
    }

    @Test func whatIsNotFromTheServerIsNotForTheClient() async throws {
        try await withProxy(clients: 2) { server, proxy, clients in
            try await clients[0].send([1], to: proxy.address)
            try await eventually("one comes back") { clients[0].packets.count == 1 }
            try await clients[1].send([9], to: server.sources[0])
            try await eventually("a strange packet is counted") { try await proxy.counts().strange == 1 }
            #expect(clients[0].packets == [[1]])
        }
    }

    @Test func whatCannotBeIsRefused() async throws {
        let server = try SocketAddress(ipAddress: "127.0.0.1", port: 9)
        for wrong in [
            Impairment(loss: 1.5), Impairment(corruption: -0.1), Impairment(delay: .seconds(-1)),
            Impairment(rate: 0), Impairment(queue: 0), Impairment(mtu: 0),
        ] {
            let error = await #expect(throws: OuroborosError.self) {
                try await ImpairmentProxy.start(to: server, configuration: .init(both: wrong))
            }
            #expect(error?.code == .invalidConfiguration)
        }
        try await ImpairmentProxy.withProxy(to: server) { proxy in
            let error = await #expect(throws: OuroborosError.self) {
                try await ImpairmentProxy.start(at: proxy.address, to: server)
            }
            #expect(error?.message.contains("in use") == true)
        }
    }
}
