import Logging
import NIOCore
import Ouroboros
import ServiceLifecycle
import TestSupport
import Testing

@testable import OuroborosNIO

/// Connections over time: roaming, rekeying, reconnecting, idling, ending.
@Suite(.timeLimit(.minutes(3))) struct ManagementTests {
    let credential = Credential.fixed(device: device, rootKey: .random())

    @Test func aClientThatRoamsLosesNothingAndNeedsNoHandshake() async throws {
        let credential = credential
        let network = RoamingNetwork()
        try await withEchoServer(MemoryRegistry(credential), echoes: false) { server, collector in
            try await OuroborosClient.withConnection(
                to: Endpoint(.datagrams(network), server.localAddress), credential: credential
            ) { connection in
                try await connection.send([UInt8.max])
                for round in 0..<5 {
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        for number in 0..<40 {
                            group.addTask { try await connection.send([UInt8(round), UInt8(number)]) }
                        }
                        try await network.roam()
                        try await group.waitForAll()
                    }
                    // The server has the new address, too.
                    async let posted: Void = server.send([UInt8(round)], to: device)
                    var messages = connection.messages.makeAsyncIterator()
                    #expect(await messages.next()?.payload == [UInt8(round)])
                    try await posted
                }
                #expect(collector.count == 201)
                #expect(Set(collector.payloads).count == 201)
                #expect(try await connection.statistics().handshakes == 1)
            }
        }
    }

    @Test(arguments: Way.allCases) func aSessionIsReplacedAtItsLimit(way: Way) async throws {
        let credential = credential
        var configuration = ClientConfiguration()
        configuration.link.rekeyPackets = 50
        let small = configuration
        try await withEchoServer(over: way, MemoryRegistry(credential), echoes: false) { server, collector in
            try await OuroborosClient.withConnection(
                to: server.endpoints[0], credential: credential, configuration: small
            ) { connection in
                for number in 0..<300 {
                    try await connection.send(Array("\(number)".utf8))
                }
                #expect(collector.payloads == (0..<300).map { Array("\($0)".utf8) })
                #expect(try await connection.statistics().handshakes >= 5)
            }
        }
    }

    @Test(arguments: Way.allCases) func aServerAtItsLimitAsksForANewSession(way: Way) async throws {
        let credential = credential
        var configuration = ServerConfiguration()
        configuration.link.rekeyPackets = 50
        let small = configuration
        try await withEchoServer(
            over: way, MemoryRegistry(credential), configuration: small, echoes: false
        ) { server, collector in
            try await OuroborosClient.withConnection(to: server.endpoints[0], credential: credential) {
                connection in
                for number in 0..<200 {
                    try await connection.send(Array("\(number)".utf8))
                }
                #expect(collector.payloads == (0..<200).map { Array("\($0)".utf8) })
                #expect(try await connection.statistics().handshakes >= 3)
            }
        }
    }

    @Test(arguments: Way.allCases) func aMessageWaitsForAGatewayThatStartsAnew(way: Way) async throws {
        let credential = credential
        var configuration = ClientConfiguration()
        configuration.link.firstTimeout = 50
        let registry = MemoryRegistry(credential)
        let address = try SocketAddress(ipAddress: OwnAddress.host, port: OwnAddress.nextPort())
        let server = try await OuroborosServer.bind(to: [way.at(address)], registry: registry)
        let connection = try await OuroborosClient.connect(
            to: way.at(address), credential: credential, configuration: configuration)
        let states = connection.stateChanges
        try await eventually("the server has the session") { try await server.statistics().sessions == 1 }
        await server.close()
        let shutdown = await states.first { state in
            if case .sessionClosed(.shutdown, _, _) = state { true } else { false }
        }
        #expect(shutdown != nil)
        let waiting = try await connection.enqueue([1])
        let next = try await OuroborosServer.bind(to: [way.at(address)], registry: registry)
        var batches = next.batches.makeAsyncIterator()
        let batch = try #require(await batches.next())
        #expect(batch.messages.map(\.payload) == [[1]])
        batch.confirm()
        try await waiting.delivered()
        #expect(try await connection.statistics().handshakes == 2)
        await connection.close()
        await next.close()
    }

    @Test(arguments: Way.allCases) func anIdleConnectionIsClosed(way: Way) async throws {
        let credential = credential
        var configuration = ClientConfiguration()
        configuration.idleTimeout = .milliseconds(100)
        let short = configuration
        try await withEchoServer(over: way, MemoryRegistry(credential), echoes: false) { server, _ in
            let events = server.events
            let connection = try await OuroborosClient.connect(
                to: server.endpoints[0], credential: credential, configuration: short)
            let states = connection.stateChanges
            // A machine that is busy may let it idle before that.
            _ = try? await connection.send([1])
            let closed = await events.first { if case .closed = $0 { true } else { false } }
            guard case .closed(_, let reason, let byDevice, _)? = closed else {
                Issue.record("the server has not heard CLOSE")
                return
            }
            #expect(reason == .idle)
            #expect(byDevice)
            for await _ in states {}
            try await eventually("the device is gone") { try await server.statistics().devices == 0 }
        }
    }

    @Test(arguments: Way.allCases) func aServerEndsASessionThatIsSilent(way: Way) async throws {
        let credential = credential
        var configuration = ServerConfiguration()
        configuration.link.idleTimeout = 100
        let short = configuration
        try await withEchoServer(
            over: way, MemoryRegistry(credential), configuration: short, echoes: false
        ) { server, _ in
            let connection = try await OuroborosClient.connect(
                to: server.endpoints[0], credential: credential)
            let states = connection.stateChanges
            // A machine that is busy may let it fall silent before the answer.
            _ = try? await connection.send([1])
            let closed = await states.first { if case .sessionClosed = $0 { true } else { false } }
            guard case .sessionClosed(let reason, _, _)? = closed else {
                Issue.record("the device has not heard CLOSE")
                return
            }
            #expect(reason == .idle)
            await connection.close()
        }
    }

    @Test(arguments: Way.allCases) func aPathIsKeptAliveWhereThatIsAskedFor(way: Way) async throws {
        let credential = credential
        var configuration = ClientConfiguration()
        configuration.link.keepAlive = 20
        let lively = configuration
        try await withEchoServer(over: way, MemoryRegistry(credential), echoes: false) { server, _ in
            try await OuroborosClient.withConnection(
                to: server.endpoints[0], credential: credential, configuration: lively
            ) { _ in
                try await eventually("nine packets of a device that sends nothing") {
                    try await server.statistics().links.received > 8
                }
            }
        }
    }

    @Test(arguments: Way.allCases) func aShutdownWaitsForWhatIsUnderWay(way: Way) async throws {
        let credential = credential
        var configuration = ClientConfiguration()
        configuration.acknowledgement = .whenConfirmed
        let server = try await OuroborosServer.bind(
            to: [way.endpoint], registry: MemoryRegistry(credential))
        let connection = try await OuroborosClient.connect(
            to: server.endpoints[0], credential: credential, configuration: configuration)
        let group = ServiceGroup(
            configuration: .init(
                services: [server],
                logger: Logger(label: "quiet") { _ in SwiftLogNoOpLogHandler() }))
        let running = Task { try await group.run() }
        try await eventually("the device is there") { try await server.statistics().devices == 1 }
        let posted = server.post([1], to: device)
        var messages = connection.messages.makeAsyncIterator()
        let message = try #require(await messages.next())
        await group.triggerGracefulShutdown()
        connection.confirm(message)
        try await posted.delivered()
        try await running.value
        await connection.close()
        #expect(connection.state == .closed)
    }
}

@Suite(.timeLimit(.minutes(3))) struct PoolTests {
    @Test func manyDevicesAndGatewaysShareOneSocket() async throws {
        let credentials = (1...30).map { Credential.fixed(device: DeviceID(number: $0), rootKey: .random()) }
        let network = CountingNetwork()
        var configuration = ConnectionPool.Configuration()
        configuration.transport = .datagrams(network)
        let pool = try ConnectionPool(configuration: configuration)
        try await withEchoServer(MemoryRegistry(credentials)) { first, _ in
            try await withEchoServer(MemoryRegistry(credentials)) { second, _ in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for (index, credential) in credentials.enumerated() {
                        let server = index % 3 == 0 ? second.localAddress : first.localAddress
                        group.addTask {
                            let connection = try await pool.connect(to: server, credential: credential)
                            var messages = connection.messages.makeAsyncIterator()
                            for round in UInt8(0)..<5 {
                                let payload = credential.deviceID.bytes + [round]
                                try await connection.send(payload)
                                #expect(await messages.next()?.payload == payload)
                            }
                            let statistics = try await connection.statistics()
                            #expect(statistics.handshakes == 1)
                        }
                    }
                    try await group.waitForAll()
                }
                #expect(network.made == 1 && network.open == 1)
                await pool.close()
            }
        }
        #expect(pool.counts.connections == 0)
        #expect(network.open == 0)
        await #expect(throws: OuroborosError.self) {
            try await pool.connect(to: loopback, credential: credentials[0])
        }
    }

    @Test func whatIsOverALimitIsRefusedAndCounted() async throws {
        let credentials = (1...3).map { Credential.fixed(device: DeviceID(number: $0), rootKey: .random()) }
        var configuration = ConnectionPool.Configuration()
        configuration.maximumConnections = 2
        let pool = try ConnectionPool(configuration: configuration)
        try await withEchoServer(MemoryRegistry(credentials)) { server, _ in
            let address = server.localAddress
            let first = try await pool.connect(to: address, credential: credentials[0])
            var error = await #expect(throws: OuroborosError.self) {
                try await pool.connect(to: address, credential: credentials[0])
            }
            #expect(error?.code == .limit)
            let second = try await pool.connect(to: address, credential: credentials[1])
            error = await #expect(throws: OuroborosError.self) {
                try await pool.connect(to: address, credential: credentials[2])
            }
            #expect(error?.code == .limit)
            #expect(pool.counts == .init(connections: 2, refused: 1, refusedForDevice: 1))
            await first.close()
            let third = try await pool.connect(to: address, credential: credentials[2])
            try await third.send([1])
            await third.close()
            await second.close()
        }
        await pool.close()
        #expect(pool.counts.connections == 0)
    }
}
