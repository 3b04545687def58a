import LibC
import NIOCore
import NIOPosix
import Ouroboros
import OuroborosTesting
import TestSupport
import Testing

@testable import OuroborosNIO

/// Gateways of one fleet and workers of one gateway: a packet reaches its session wherever it lands.
@Suite(.timeLimit(.minutes(3))) struct FleetTests {
    private static let secret = SecretKey.random()
    private static let key = SecretKey.random()

    /// Two gateways that know each other.
    private static func pair(
        secrets: [[SecretKey]] = [[secret], [secret]]
    ) async throws -> (servers: [OuroborosServer], places: [SocketAddress]) {
        let places = try (0..<2).map { _ in
            try SocketAddress(ipAddress: OwnAddress.host, port: OwnAddress.nextPort())
        }
        var servers: [OuroborosServer] = []
        for number in 0..<2 {
            var configuration = ServerConfiguration()
            configuration.fleet = FleetConfiguration(
                gatewayNumber: UInt8(number + 1), secret: secrets[number].first,
                secondSecret: secrets[number].dropFirst().first,
                forwarding: .init(address: places[number], peers: [UInt8(2 - number): places[1 - number]]))
            servers.append(
                try await OuroborosServer.bind(
                    to: loopback, registry: MemoryRegistry(.fixed(device: device, rootKey: key)),
                    configuration: configuration))
        }
        return (servers, places)
    }

    private static let newer = SecretKey.random()

    /// While the secret is replaced: before, one has the new one second, one has made it the first, and after.
    @Test(arguments: [
        [[secret], [secret]], [[secret], [secret, newer]], [[newer, secret], [secret, newer]],
        [[newer], [newer, secret]],
    ])
    func aSessionIsFoundFromEveryGateway(secrets: [[SecretKey]]) async throws {
        let (servers, _) = try await Self.pair(secrets: secrets)
        let balancer = try await ImpairmentProxy.start(to: servers[0].localAddress)
        let readers = servers.map { server in Task { await Self.echo(server) } }
        try await OuroborosClient.withConnection(
            to: balancer.address, credential: .fixed(device: device, rootKey: Self.key)
        ) { connection in
            try await connection.send(Array("one".utf8))
            // The rest lands on the other gateway, and answers have to come from there.
            try await balancer.redirect(to: servers[1].localAddress)
            for number in 0..<20 {
                try await connection.send(Array("two \(number)".utf8))
            }
            var echoes = 0
            for await message in connection.messages {
                echoes += 1
                #expect(!message.payload.isEmpty)
                if echoes == 21 { break }
            }
        }
        let (first, second) = (try await servers[0].statistics(), try await servers[1].statistics())
        #expect(first.messages == 21 && first.links.handshakes == 1)
        #expect(second.messages == 0 && second.links.handshakes == 0)
        #expect(second.forwards.sent > 20 && first.forwards.received > 20 && second.forwards.received > 20)
        #expect(second.passedOn > 20)
        await balancer.close()
        for server in servers { await server.close() }
        for reader in readers { await reader.value }
    }

    @Test func hostileForwardsAreCountedDrops() async throws {
        let (servers, places) = try await Self.pair()
        let sender = try await DatagramBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(to: loopback).get()
        var address: PeerAddress { PeerAddress(SocketAddress.loopback(port: 9)) }
        // A packet of a session that this gateway does not have, of one that is the other's, and of none.
        var packets = [[UInt8]](repeating: [UInt8](repeating: 0x11, count: 40), count: 3)
        for (index, owner) in [1, 2, 0].enumerated() {
            packets[index].replaceSubrange(4..<8, with: owner == 0 ? [0, 0, 0, 0] : [UInt8(owner), 1, 2, 3])
        }
        let channel = try FleetChannel(fleetSecret: Self.secret, from: 2, to: 1)
        var sealed: [[UInt8]] = []
        for packet in packets {
            try packet.withUnsafeBytes { bytes in
                try channel.seal(.toOwner, bytes, address, wallTime: WallTime.milliseconds()) {
                    sealed.append(Array($0))
                }
            }
        }
        let forger = try FleetChannel(fleetSecret: .random(), from: 2, to: 1)
        try packets[0].withUnsafeBytes { bytes in
            // Later than what is known: an older run of the gateway would be a replay.
            try forger.seal(.toOwner, bytes, address, wallTime: WallTime.milliseconds() + 1000) {
                sealed.append(Array($0))
            }
            try channel.seal(.toOwner, bytes, address, wallTime: WallTime.milliseconds() - 40_000) {
                sealed.append(Array($0))
            }
        }
        sealed.append(sealed[0])
        sealed.append([UInt8](repeating: 0xf1, count: 1400))
        for bytes in sealed {
            try await sender.writeAndFlush(
                AddressedEnvelope(remoteAddress: places[0], data: ByteBuffer(bytes: bytes)))
        }
        let wanted: [DropReason: UInt64] = [
            .unknownSession: 1, .nonsense: 1, .authentication: 1, .ahead: 1, .replay: 1, .malformed: 1,
        ]
        try await eventually("each is counted") {
            try await servers[0].statistics().forwards.drops == wanted
        }
        let statistics = try await servers[0].statistics()
        #expect(statistics.forwards.received == 1)
        // The one that was taken has no session: it is dropped there, and goes nowhere else.
        #expect(statistics.drops[.unknownSession] == 1)
        #expect(statistics.forwards.sent == 0)
        try await sender.close()
        for server in servers { await server.close() }
    }

    @Test func twoWorkersServeManyDevicesAndPassPacketsOn() async throws {
        let devices = (1...12).map { DeviceID(number: $0) }
        var configuration = ServerConfiguration()
        configuration.workers = 2
        configuration.fleet = FleetConfiguration(gatewayNumber: 9)
        let server = try await OuroborosServer.bind(
            to: loopback, registry: MemoryRegistry(devices.map { .evolving(device: $0, key: Self.key) }),
            configuration: configuration)
        let reader = Task { await Self.echo(server) }
        let sessions = Locked<Set<UInt32>>([])
        let events = server.events
        let watcher = Task {
            for await case .connected(_, let session) in events {
                sessions.withLock { _ = $0.insert(session) }
            }
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for device in devices {
                group.addTask {
                    let network = RoamingNetwork()
                    try await OuroborosClient.withConnection(
                        to: Endpoint(.datagrams(network), server.localAddress),
                        credential: .evolving(device: device, key: Self.key), store: MemoryStore()
                    ) { connection in
                        for number in 0..<8 {
                            // From another address each time: the kernel may choose the other worker.
                            try await network.roam()
                            try await connection.send([UInt8(number)])
                        }
                        var echoes = 0
                        for await _ in connection.messages {
                            echoes += 1
                            if echoes == 8 { break }
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
        let statistics = try await server.statistics()
        #expect(statistics.messages == 12 * 8)
        #expect(statistics.passedOn > 0)
        #expect(statistics.drops[.unknownSession] == nil)
        await server.close()
        await reader.value
        await watcher.value
        // The gateway's number is the upper byte; the bit after it is the worker's. Twelve devices find both.
        let numbers = sessions.withLock { $0 }
        #expect(numbers.count == 12)
        #expect(numbers.allSatisfy { $0 >> 24 == 9 })
        #expect(Set(numbers.map { $0 >> 23 & 1 }) == [0, 1])
    }

    @Test func aSecondGatewayDoesNotShareThePort() async throws {
        var configuration = ServerConfiguration()
        configuration.workers = 2
        let registry = MemoryRegistry(.fixed(device: device, rootKey: Self.key))
        let server = try await OuroborosServer.bind(
            to: loopback, registry: registry, configuration: configuration)
        let error = await #expect(throws: OuroborosError.self) {
            try await OuroborosServer.bind(
                to: server.localAddress, registry: registry, configuration: configuration)
        }
        #expect(error?.message.contains("in use") == true)
        await server.close()
    }

    @Test func whatContradictsItselfIsRefused() {
        let place = loopback
        for fleet in [
            FleetConfiguration(gatewayNumber: 0),
            FleetConfiguration(gatewayNumber: 1, secondSecret: Self.secret),
            FleetConfiguration(gatewayNumber: 1, forwarding: .init(address: place, peers: [2: place])),
            FleetConfiguration(
                gatewayNumber: 1, secret: Self.secret, forwarding: .init(address: place, peers: [1: place])),
        ] {
            var configuration = ServerConfiguration()
            configuration.fleet = fleet
            #expect(throws: OuroborosError.self) { try configuration.check() }
        }
    }

    /// Before a device finds out.
    @Test func aLinkThatNoDeviceCouldHaveIsRefused() async throws {
        var configuration = ServerConfiguration()
        configuration.link.idleTimeout = 99
        let error = await #expect(throws: OuroborosError.self) {
            try await OuroborosServer.bind(
                to: loopback, registry: MemoryRegistry(), configuration: configuration)
        }
        #expect(error?.message == "idleTimeout is at least 100 ms, not 99")
    }

    @Test func sessionIDsTellTheirOwner() {
        let alone = SessionNumbers(gateway: nil, workers: 1)
        #expect(alone.prefixBits == 0 && alone.owner(of: 0xffff_ffff) == .worker(0))
        let gateway = SessionNumbers(gateway: 200, workers: 3)
        #expect(gateway.prefixBits == 10 && gateway.prefix(ofWorker: 2) == 200 << 2 | 2)
        #expect(gateway.owner(of: 0xc880_0001) == .worker(2))
        #expect(gateway.owner(of: 0xc8c0_0001) == .nobody)
        #expect(gateway.owner(of: 0x0180_0001) == .gateway(1))
        let workers = SessionNumbers(gateway: nil, workers: 2)
        #expect(workers.owner(of: 0x8000_0000) == .worker(1) && workers.owner(of: 0x7fff_ffff) == .worker(0))
    }

    private static func echo(_ server: OuroborosServer) async {
        for await batch in server.batches {
            batch.confirm()
            for message in batch.messages {
                _ = server.post(message.payload, to: message.device)
            }
        }
    }
}
