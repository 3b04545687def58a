import NIOCore
import Ouroboros
import OuroborosNIO
import OuroborosTesting
import Testing

private struct OneDevice: DeviceRegistry {
    let credential: Credential

    func credential(of device: DeviceID) throws -> Credential? {
        device == credential.deviceID ? credential : nil
    }

    func advance(to credential: Credential) throws {}
}

@Suite(.timeLimit(.minutes(2))) struct MemoryNetworkTests {
    let credential = Credential.fixed(device: DeviceID(number: 1), rootKey: .random())

    /// Sends `count` messages over the network in virtual time; gives what arrived, and how long it took.
    private func transfer(
        _ count: Int, over network: MemoryNetwork
    ) async throws -> (payloads: [[UInt8]], elapsed: Duration) {
        let time = VirtualTime()
        let credential = credential
        let payloads = try await time.run {
            var serverConfiguration = ServerConfiguration()
            serverConfiguration.eventLoopGroup = time.eventLoopGroup
            var clientConfiguration = ClientConfiguration()
            clientConfiguration.eventLoopGroup = time.eventLoopGroup
            let gateway = try network.endpoint(port: 5700)
            let server = try await OuroborosServer.bind(
                to: [gateway], registry: OneDevice(credential: credential),
                configuration: serverConfiguration)
            let connection = try await OuroborosClient.connect(
                to: gateway, credential: credential, configuration: clientConfiguration)
            return try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    for number in 0..<count {
                        try await connection.send(Array("\(number)".utf8))
                    }
                    await connection.close()
                }
                var payloads: [[UInt8]] = []
                for await batch in server.batches {
                    payloads += batch.messages.map(\.payload)
                    batch.confirm()
                    if payloads.count == count { break }
                }
                try await group.waitForAll()
                await server.close()
                return payloads
            }
        }
        return (payloads, time.elapsed)
    }

    @Test func aQuietNetworkCarriesEachOnce() async throws {
        let network = MemoryNetwork(seed: 1, impairment: .init(delay: .milliseconds(50)))
        let (payloads, elapsed) = try await transfer(50, over: network)
        #expect(payloads == (0..<50).map { Array("\($0)".utf8) })
        #expect(network.counts.path.lost == 0)
        // A handshake and 50 messages, one after the other, of 100 ms each.
        #expect(elapsed >= .milliseconds(5100))
    }

    @Test(arguments: 1...3) func aBadOneLosesNothingAndRepeatsNothing(seed: UInt64) async throws {
        let network = MemoryNetwork(
            seed: seed,
            impairment: .init(
                loss: 0.3, duplication: 0.2, reordering: 0.3, holdBack: .milliseconds(400),
                corruption: 0.05, delay: .milliseconds(100)))
        let (payloads, _) = try await transfer(200, over: network)
        #expect(payloads == (0..<200).map { Array("\($0)".utf8) })
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
        try await OuroborosServer.withServer(at: [gateway], registry: OneDevice(credential: credential)) {
            server in
            // An address is one server's.
            let error = await #expect(throws: OuroborosError.self) {
                try await OuroborosServer.bind(to: [gateway], registry: OneDevice(credential: credential))
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
