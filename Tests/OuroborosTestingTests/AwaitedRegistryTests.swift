import Ouroboros
import OuroborosNIO
import OuroborosTesting
import TestSupport
import Testing

/// One gateway whose devices are on a disk, which may take its time.
@Suite(.timeLimit(.minutes(2))) struct AwaitedRegistryTests {
    private static let id = DeviceID(number: 1)

    private func connect(
        to place: Endpoint, _ memory: Memory, on time: VirtualTime
    ) async throws -> OuroborosConnection {
        var configuration = ClientConfiguration()
        configuration.eventLoopGroup = time.eventLoopGroup
        configuration.connectTimeout = .seconds(30)
        return try await OuroborosClient.connect(
            to: place, credential: memory.credential, store: memory, configuration: configuration)
    }

    private func serving(
        _ registry: SharedMemory, on time: VirtualTime,
        _ body: @escaping @Sendable (OuroborosServer, Endpoint) async throws -> Void
    ) async throws {
        try await time.run {
            let network = MemoryNetwork(seed: 3, impairment: .init(delay: .milliseconds(20)))
            let place = try network.endpoint(port: 5700)
            var configuration = ServerConfiguration()
            configuration.eventLoopGroup = time.eventLoopGroup
            let server = try await OuroborosServer.bind(
                to: [place], awaitedRegistry: registry, configuration: configuration)
            let reader = Task { for await batch in server.batches { batch.confirm() } }
            try await body(server, place)
            await server.close()
            await reader.value
        }
    }

    @Test func aSlowAnswerKeepsNobodyElseWaiting() async throws {
        let time = VirtualTime()
        let memory = Memory(.evolving(device: Self.id, key: .random()))
        let registry = SharedMemory(memory.credential)
        try await serving(registry, on: time) { server, place in
            let first = try await connect(to: place, memory, on: time)
            try await first.send([1])
            #expect(registry.epoch == 1)
            registry.hold(.question)
            async let second = connect(to: place, memory, on: time)
            try await eventually("a question waits") { registry.waiting > 0 }
            try await first.send([2])
            registry.release()
            try await second.send([3])
            #expect(registry.epoch == memory.credential.epoch)
            registry.remove(Self.id)
            try await server.dropUnknownDevices()
            try await eventually("its session ends") { try await server.statistics().sessions == 0 }
            await first.close()
            try await second.close()
        }
    }

    /// Nobody counts its sessions.
    @Test func aFixedCredentialIsServed() async throws {
        let time = VirtualTime()
        let memory = Memory(.fixed(device: Self.id, rootKey: .random()))
        let registry = SharedMemory(memory.credential)
        try await serving(registry, on: time) { server, place in
            for number in UInt8(1)...2 {
                let connection = try await connect(to: place, memory, on: time)
                try await connection.send([number])
                await connection.close()
            }
            #expect(registry.generation == 0)
        }
    }
}
