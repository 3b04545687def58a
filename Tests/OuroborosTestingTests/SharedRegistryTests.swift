import Ouroboros
import OuroborosNIO
import OuroborosTesting
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(4))) struct SharedRegistryTests {
    private static let id = DeviceID(number: 1)

    private struct Fleet: Sendable {
        let time: VirtualTime
        let registry: SharedMemory
        let servers: [OuroborosServer]
        let clients: [@Sendable (Credential) async throws -> OuroborosConnection]
        let readers: [Task<Void, Never>]

        func end() async {
            for server in servers { await server.close() }
            for reader in readers { await reader.value }
        }

        func sessions(_ index: Int) async throws -> Int { try await servers[index].statistics().sessions }
    }

    /// Two gateways over one registry, and a way to each.
    private func fleet(_ credential: Credential, _ memory: Memory? = nil, on time: VirtualTime) async throws
        -> Fleet
    {
        let network = MemoryNetwork(seed: 3, impairment: .init(delay: .milliseconds(20)))
        let registry = SharedMemory(credential)
        var servers: [OuroborosServer] = []
        var clients: [@Sendable (Credential) async throws -> OuroborosConnection] = []
        for number in 1...2 {
            var configuration = ServerConfiguration()
            configuration.eventLoopGroup = time.eventLoopGroup
            configuration.fleet = FleetConfiguration(gatewayNumber: UInt8(number))
            let place = try network.endpoint(port: 5700 + number)
            servers.append(
                try await OuroborosServer.bind(
                    to: [place], sharedRegistry: registry, configuration: configuration))
            clients.append { credential in
                var configuration = ClientConfiguration()
                configuration.eventLoopGroup = time.eventLoopGroup
                configuration.connectTimeout = .seconds(8)
                return try await OuroborosClient.connect(
                    to: place, credential: credential, store: memory, configuration: configuration)
            }
        }
        let readers = servers.map { server in
            Task { for await batch in server.batches { batch.confirm() } }
        }
        return Fleet(time: time, registry: registry, servers: servers, clients: clients, readers: readers)
    }

    @Test func anOlderSessionDrainsForAMinuteAndEnds() async throws {
        let time = VirtualTime()
        let credential = Credential.fixed(device: Self.id, rootKey: .random())
        try await time.run {
            let fleet = try await fleet(credential, on: time)
            let old = try await fleet.clients[0](credential)
            try await old.send([1])
            let new = try await fleet.clients[1](credential)
            try await new.send([2])
            // Until then it takes what is still under way.
            try await time.sleep(for: .seconds(55))
            try await old.send([3])
            #expect(try await fleet.sessions(0) == 1)
            try await time.sleep(for: .seconds(6))
            #expect(try await fleet.sessions(0) == 0)
            #expect(try await fleet.sessions(1) == 1)
            try await new.send([4])
            await old.close()
            await new.close()
            await fleet.end()
        }
    }

    @Test func withoutTheRegistryNoHelloIsAnsweredAndSessionsGoOn() async throws {
        let time = VirtualTime()
        let memory = Memory(.evolving(device: Self.id, key: .random()))
        try await time.run {
            let fleet = try await fleet(memory.credential, memory, on: time)
            let connection = try await fleet.clients[0](memory.credential)
            try await connection.send([1])
            #expect(fleet.registry.epoch == 1)
            fleet.registry.setAway(true)
            let error = await #expect(throws: OuroborosError.self) {
                try await fleet.clients[1](memory.credential)
            }
            #expect(error?.code == .unreachable)
            #expect(try await fleet.servers[1].statistics().registryFailures > 0)
            try await connection.send([2])
            fleet.registry.setAway(false)
            let next = try await fleet.clients[1](memory.credential)
            try await next.send([3])
            #expect(fleet.registry.epoch == memory.credential.epoch)
            #expect(memory.credential.epoch == 2)
            await connection.close()
            await next.close()
            await fleet.end()
        }
    }

    @Test func whatTheRegistryDidNotAnswerIsAskedWithTheNextSweep() async throws {
        let time = VirtualTime()
        let credential = Credential.fixed(device: Self.id, rootKey: .random())
        try await time.run {
            let fleet = try await fleet(credential, on: time)
            let old = try await fleet.clients[0](credential)
            try await old.send([1])
            fleet.registry.setDeaf(true)
            let new = try await fleet.clients[1](credential)
            try await new.send([2])
            fleet.registry.setDeaf(false)
            fleet.registry.setAway(true)
            let questions = fleet.registry.questions
            fleet.registry.tell(.missed)
            try await eventually("both ask in vain") { fleet.registry.questions == questions + 2 }
            fleet.registry.setAway(false)
            // A minute at most until it is asked again, and one to drain.
            try await time.sleep(for: .seconds(125))
            #expect(try await fleet.sessions(0) == 0)
            #expect(try await fleet.sessions(1) == 1)
            await old.close()
            await new.close()
            await fleet.end()
        }
    }

    @Test func aDeviceThatIsRemovedIsDroppedEverywhere() async throws {
        let time = VirtualTime()
        let credential = Credential.fixed(device: Self.id, rootKey: .random())
        try await time.run {
            let fleet = try await fleet(credential, on: time)
            let connection = try await fleet.clients[0](credential)
            try await connection.send([1])
            fleet.registry.remove(Self.id)
            try await eventually("its session ends") { try await fleet.sessions(0) == 0 }
            await connection.close()
            await fleet.end()
        }
    }
}
