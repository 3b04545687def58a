import NIOCore
import Ouroboros
import OuroborosNIO
import OuroborosTesting
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(4))) struct MemoryNetworkTests {
    let credential = Credential.fixed(device: DeviceID(number: 1), rootKey: .random())

    private struct Transfer {
        var payloads: [[UInt8]]
        /// Messages whose session ended under them, and that were sent again in the next.
        var unknown: Int
        var elapsed: Duration
    }

    /// Sends `count` messages over the network in virtual time.
    private func transfer(_ count: Int, over network: MemoryNetwork) async throws -> Transfer {
        let time = VirtualTime(step: .milliseconds(5))
        let credential = credential
        let (payloads, unknown) = try await time.run {
            var serverConfiguration = ServerConfiguration()
            serverConfiguration.eventLoopGroup = time.eventLoopGroup
            var clientConfiguration = ClientConfiguration()
            clientConfiguration.eventLoopGroup = time.eventLoopGroup
            let gateway = try network.endpoint(port: 5700)
            let server = try await OuroborosServer.bind(
                to: [gateway], registry: MemoryRegistry(credential),
                configuration: serverConfiguration)
            let connection = try await OuroborosClient.connect(
                to: gateway, credential: credential, configuration: clientConfiguration)
            async let sent = Self.send(count, over: connection, to: server)
            var payloads: [[UInt8]] = []
            for await batch in server.batches {
                payloads += batch.messages.map(\.payload)
                batch.confirm()
            }
            return (payloads, try await sent)
        }
        return Transfer(payloads: payloads, unknown: unknown, elapsed: time.elapsed)
    }

    /// Sends one after the other, then closes both sides. Gives how many were sent again.
    private static func send(
        _ count: Int, over connection: OuroborosConnection, to server: OuroborosServer
    ) async throws -> Int {
        var unknown = 0
        for number in 0..<count {
            var isDelivered = false
            while !isDelivered {
                do {
                    try await connection.send(Array("\(number)".utf8))
                    isDelivered = true
                } catch let error as OuroborosError where error.code == .unknown {
                    unknown += 1
                } catch {
                    await server.close()
                    throw error
                }
            }
        }
        await connection.close()
        await server.close()
        return unknown
    }

    @Test func aQuietNetworkCarriesEachOnce() async throws {
        let network = MemoryNetwork(seed: 1, impairment: .init(delay: .milliseconds(50)))
        let transfer = try await transfer(50, over: network)
        #expect(transfer.payloads == (0..<50).map { Array("\($0)".utf8) })
        #expect(transfer.unknown == 0)
        #expect(network.counts.path.lost == 0)
        // A handshake and 50 messages, one after the other, of 100 ms each.
        #expect(transfer.elapsed >= .milliseconds(5100))
    }

    @Test(arguments: 1...3) func aBadOneLosesNothingAndRepeatsNothing(seed: UInt64) async throws {
        let network = MemoryNetwork(
            seed: seed,
            impairment: .init(
                loss: 0.3, duplication: 0.2, reordering: 0.3, holdBack: .milliseconds(400),
                corruption: 0.05, delay: .milliseconds(100)))
        let transfer = try await transfer(80, over: network)
        #expect(Set(transfer.payloads) == Set((0..<80).map { Array("\($0)".utf8) }))
        // Within a session nothing comes twice.
        #expect(transfer.payloads.count <= 80 + transfer.unknown)
        let counts = network.counts.path
        #expect(counts.lost > 0)
        #expect(counts.repeated > 0)
        #expect(counts.heldBack > 0)
        #expect(counts.corrupted > 0)
    }

    @Test func hoursPassInASecond() async throws {
        let time = VirtualTime(step: .seconds(10))
        try await time.run { try await time.sleep(for: .seconds(7200)) }
        #expect(time.elapsed >= .seconds(7200))
    }

    @Test func itAlsoRunsInRealTime() async throws {
        let credential = credential
        let network = MemoryNetwork(seed: 4, impairment: .init(loss: 0.2, delay: .milliseconds(1)))
        let gateway = try network.endpoint(port: 5700)
        try await OuroborosServer.withServer(at: [gateway], registry: MemoryRegistry(credential)) {
            server in
            // An address is one server's.
            let error = await #expect(throws: OuroborosError.self) {
                try await OuroborosServer.bind(to: [gateway], registry: MemoryRegistry(credential))
            }
            #expect(error?.message.contains("in use") == true)
            var configuration = ClientConfiguration()
            configuration.link.firstTimeout = 50
            try await OuroborosClient.withConnection(
                to: gateway, credential: credential, configuration: configuration
            ) { connection in
                async let sent: Void = connection.send([1])
                var batches = server.batches.makeAsyncIterator()
                let batch = try #require(await batches.next())
                #expect(batch.messages.map(\.payload) == [[1]])
                batch.confirm()
                try await sent
            }
        }
    }
}
