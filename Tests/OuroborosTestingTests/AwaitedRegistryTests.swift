import NIOCore
import Ouroboros
import OuroborosTesting
import TestSupport
import Testing

@testable import OuroborosNIO

/// One gateway whose devices are on a disk, which may take its time.
@Suite(.timeLimit(.minutes(2))) struct AwaitedRegistryTests {
    private static let id = DeviceID(number: 1)

    private func connect(
        to place: Endpoint, _ memory: Memory, on time: VirtualTime
    ) async throws -> OuroborosConnection {
        var configuration = ClientConfiguration()
        configuration.eventLoopGroup = time.eventLoopGroup
        configuration.connectTimeout = .seconds(30)
        // Nothing is sent again while a test holds something up.
        configuration.link.firstTimeout = 8000
        return try await OuroborosClient.connect(
            to: place, credential: memory.credential, store: memory, configuration: configuration)
    }

    private func serving(
        _ registry: SharedMemory, on time: VirtualTime,
        _ body: @escaping @Sendable (OuroborosServer, Endpoint, Taken) async throws -> Void
    ) async throws {
        try await time.run {
            let network = MemoryNetwork(seed: 3, impairment: .init(delay: .milliseconds(20)))
            let place = try network.endpoint(port: 5700)
            var configuration = ServerConfiguration()
            configuration.eventLoopGroup = time.eventLoopGroup
            let server = try await OuroborosServer.bind(
                to: [place], awaitedRegistry: registry, configuration: configuration)
            let taken = Taken()
            let reader = Task { await taken.read(server) }
            try await body(server, place, taken)
            await server.close()
            await reader.value
        }
    }

    @Test func aSlowAnswerKeepsNobodyElseWaiting() async throws {
        let time = VirtualTime()
        let memory = Memory(.evolving(device: Self.id, key: .random()))
        let registry = SharedMemory(memory.credential)
        try await serving(registry, on: time) { server, place, _ in
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
        try await serving(registry, on: time) { server, place, _ in
            for number in UInt8(1)...2 {
                let connection = try await connect(to: place, memory, on: time)
                try await connection.send([number])
                await connection.close()
            }
            #expect(registry.generation == 0)
        }
    }

    // MARK: What comes while a first packet waits

    /// A device with an evolving credential that is connected and has sent nothing yet.
    private func withDevice(
        _ body:
            @escaping @Sendable (
                OuroborosServer, OuroborosConnection, SharedMemory, Taken, VirtualTime
            ) async throws -> Void
    ) async throws {
        let time = VirtualTime()
        let memory = Memory(.evolving(device: Self.id, key: .random()))
        let registry = SharedMemory(memory.credential)
        try await serving(registry, on: time) { server, place, taken in
            let connection = try await connect(to: place, memory, on: time)
            try await body(server, connection, registry, taken, time)
            await connection.closeAtOnce()
        }
    }

    /// Hands over the messages 1 to 4, as many as go out before the gateway answers.
    private func enqueueFour(on connection: OuroborosConnection) async throws -> [PendingMessage] {
        var sent: [PendingMessage] = []
        for number in UInt8(1)...4 {
            sent.append(try await connection.enqueue([number]))
        }
        return sent
    }

    /// And the others are there; before the device sends anything again.
    private func firstPacketWaits(for registry: SharedMemory, _ time: VirtualTime) async throws {
        for _ in 0..<5000 where registry.waiting == 0 {
            try await time.sleep(for: .milliseconds(1))
        }
        try #require(registry.waiting > 0)
        try await time.sleep(for: .milliseconds(100))
    }

    /// Packets with the session's id that do not open; gives how many the gateway holds then.
    private func forge(_ count: Int, of session: UInt32, to server: OuroborosServer) async throws -> Int {
        let engine = try #require(server.workers.hub.workers.first)
        return try await engine.loop.submit {
            let address = PeerAddress(try SocketAddress(ipAddress: "10.0.0.9", port: 1))
            var packet: [UInt8] = [0x11, 0, 0, 16] + [UInt8](repeating: 0, count: 44)
            withUnsafeBytes(of: session.bigEndian) { packet.replaceSubrange(4..<8, with: $0) }
            for _ in 0..<count {
                var copy = packet
                copy.withUnsafeMutableBytes {
                    engine.receive($0, sessionID: session, from: address, engine.now)
                }
            }
            return engine.held.count
        }.get()
    }

    @Test(arguments: [SharedMemory.Step.question, .move])
    func whatComesWhileTheFirstPacketWaitsIsHandedOnBehindIt(step: SharedMemory.Step) async throws {
        try await withDevice { server, connection, registry, taken, time in
            registry.hold(step)
            let sent = try await enqueueFour(on: connection)
            try await firstPacketWaits(for: registry, time)
            #expect(taken.payloads.isEmpty)
            registry.release()
            for message in sent { try await message.delivered() }
            #expect(taken.payloads == [[1], [2], [3], [4]])
            #expect(try await connection.statistics().retransmitted == 0)
            #expect(try await server.statistics().drops.isEmpty)
        }
    }

    @Test func whatWaitsForAnEpochThatIsNotSavedIsDropped() async throws {
        try await withDevice { server, connection, registry, taken, time in
            registry.hold(.move)
            _ = try await enqueueFour(on: connection)
            try await firstPacketWaits(for: registry, time)
            registry.setAway(true)
            registry.release()
            try await eventually("the others are dropped with it") {
                try await server.statistics().drops[.unknownSession] ?? 0 >= 3
            }
            #expect(taken.payloads.isEmpty)
            #expect(try await server.statistics().sessions == 0)
        }
    }

    /// It is opened, and would come again in vain.
    @Test func aFirstPacketWithoutAnAnswerIsKeptUntilTheNext() async throws {
        try await withDevice { server, connection, registry, taken, _ in
            registry.setAway(true)
            let sent = try await enqueueFour(on: connection)
            try await eventually("there is no answer") {
                try await server.statistics().registryFailures > 0
            }
            registry.setAway(false)
            for message in sent { try await message.delivered() }
            #expect(taken.payloads.sorted { $0[0] < $1[0] } == [[1], [2], [3], [4]])
            #expect(taken.payloads.first == [1])
            #expect(try await server.statistics().links.handshakes == 1)
        }
    }

    @Test func aFloodIsHeldUpToTheReachAndOnlyBehindAnAuthenticPacket() async throws {
        try await withDevice { server, connection, registry, taken, time in
            let state = connection.state
            guard case .connected(let session) = state else {
                throw Hung("there is no session: \(state)")
            }
            let questions = registry.questions
            registry.hold(.move)
            #expect(try await forge(100, of: session, to: server) == 0)
            #expect(registry.questions == questions)
            let sent = try await enqueueFour(on: connection)
            try await firstPacketWaits(for: registry, time)
            let reach = ServerConfiguration().link.reach
            #expect(try await forge(100, of: session, to: server) == reach)
            #expect(try await server.statistics().drops[.limit] == UInt64(100 + 3 - reach))
            registry.release()
            for message in sent { try await message.delivered() }
            #expect(taken.payloads == [[1], [2], [3], [4]])
            #expect(try await forge(0, of: session, to: server) == 0)
        }
    }
}
