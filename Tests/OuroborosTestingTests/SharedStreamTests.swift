import NIOCore
import NIOPosix
import Ouroboros
import Synchronization
import TestSupport
import Testing

@testable import OuroborosNIO

/// Gateways that share a registry, over TCP: a stream waits for the registry, and may end meanwhile.
@Suite(.timeLimit(.minutes(3))) struct SharedStreamTests {
    private static let id = DeviceID(number: 1)
    private let memory: Memory
    private let registry: SharedMemory

    init() {
        memory = Memory(.evolving(device: Self.id, key: .random()))
        registry = SharedMemory(memory.credential)
    }

    private func gateway(
        _ number: UInt8 = 1, handshake: Duration = .seconds(30)
    ) async throws -> SharedGateway {
        try await .start(number, over: registry, handshake: handshake)
    }

    private func connect(_ gateway: SharedGateway, over transport: Int = 1) async throws
        -> OuroborosConnection
    {
        var configuration = ClientConfiguration()
        configuration.link.firstTimeout = 100
        return try await OuroborosClient.connect(
            to: gateway.server.endpoints[transport], credential: memory.credential, store: memory,
            configuration: configuration)
    }

    /// A TCP connection on which this device's HELLO was sent, with a tag that nobody made.
    private func helloAlone(to gateway: SharedGateway) async throws -> any Channel {
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(to: gateway.server.endpoints[1].address).get()
        let hello: [UInt8] =
            [0x16, 0x80, 0, 28] + [UInt8](repeating: 0, count: 12) + Self.id.bytes
            + [UInt8](repeating: 9, count: 16) + [32, 0, 4, 0xb0] + [UInt8](repeating: 0, count: 16)
        try await channel.writeAndFlush(ByteBuffer(bytes: hello))
        return channel
    }

    private func expectNothingLeft(at gateway: SharedGateway) async throws {
        try await eventually("nothing is left at the gateway") {
            try await gateway.onLoop { engine in
                engine.registry.underWay == 0 && engine.registry.saving.isEmpty
                    && engine.devices.linked.isEmpty
                    && engine.devices.sessions.isEmpty && engine.streams.connections.isEmpty
                    && engine.streams.addresses.isEmpty && engine.streams.ending == 0
                    && engine.links(of: Self.id).allSatisfy { $0.link == nil }
            }
        }
    }

    /// From UDP to TCP, from TCP to TCP, and back to UDP.
    @Test(arguments: [(0, 1), (1, 1), (1, 0)])
    func anOlderSessionElsewhereDrainsForAMinuteAndEnds(from: Int, to: Int) async throws {
        let (first, second) = (try await gateway(1), try await gateway(2))
        let old = try await connect(first, over: from)
        try await old.send([1])
        let new = try await connect(second, over: to)
        try await new.send([2])
        #expect(registry.epoch == 2 && memory.credential.epoch == 2)
        try await eventually("the first gateway hears of the newer session") {
            try await first.retirement(of: Self.id) != nil
        }
        let due = try #require(try await first.retirement(of: Self.id))
        // Until then it takes what is still under way.
        try await old.send([3])
        try await first.onLoop { $0.endRetired(due - 1) }
        #expect(try await first.statistics.sessions == 1)
        try await first.onLoop { $0.endRetired(due) }
        try await expectNothingLeft(at: first)
        #expect(first.payloads == [[1], [3]])
        try await new.send([4])
        #expect(second.payloads == [[2], [4]])
        await old.closeAtOnce()
        await new.closeAtOnce()
        await first.end()
        await second.end()
    }

    @Test func aNoticeOfAnOlderSessionIsIgnored() async throws {
        let gateway = try await gateway(2)
        let connection = try await connect(gateway)
        try await connection.send([1])
        func elsewhere(epoch: UInt64) -> RegistryNotice {
            .confirmed(ConfirmedSession(device: Self.id, sessionID: 0x0100_0001, number: epoch))
        }
        // It is confirmed at epoch 1; what is told late, or of itself, is nothing new.
        for epoch in 0...UInt64(1) {
            registry.tell(elsewhere(epoch: epoch))
            // The next notice asks for the device: then the one before was taken.
            let questions = registry.questions
            registry.tell(.changed(Self.id))
            try await eventually("the gateway asks for the device") { registry.questions > questions }
            #expect(try await gateway.onLoop { $0.links(of: Self.id).map(\.retires) } == [nil])
        }
        registry.tell(elsewhere(epoch: 2))
        try await eventually("the session drains") {
            try await gateway.onLoop { $0.links(of: Self.id).allSatisfy { $0.retires != nil } }
        }
        await connection.close()
        await gateway.end()
    }

    @Test(arguments: [SharedMemory.Step.question, .move])
    func aHandshakeWaitsForTheRegistry(step: SharedMemory.Step) async throws {
        let gateway = try await gateway()
        registry.hold(step)
        let sent = Task {
            let connection = try await connect(gateway)
            // Several packets, the first of which may confirm the session.
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in UInt8(0)..<5 {
                    group.addTask { try await connection.send([number]) }
                }
                try await group.waitForAll()
            }
            return connection
        }
        try await eventually("the registry is asked") { registry.waiting == 1 }
        #expect(registry.epoch == 0)
        #expect(gateway.payloads.isEmpty)
        #expect(try await gateway.statistics.streams == 1)
        registry.release()
        let connection = try await sent.value
        #expect(registry.epoch == 1)
        #expect(Set(gateway.payloads) == Set((UInt8(0)..<5).map { [$0] }))
        #expect(try await connection.statistics().handshakes == 1)
        await connection.close()
        await gateway.end()
    }

    @Test(arguments: [SharedMemory.Step.question, .move])
    func aStreamThatEndsWhileTheRegistryIsAskedLeavesNothing(step: SharedMemory.Step) async throws {
        let gateway = try await gateway()
        registry.hold(step)
        let connecting = Task { try await connect(gateway) }
        try await eventually("the registry is asked") { registry.waiting == 1 }
        connecting.cancel()
        await (try? connecting.value)?.closeAtOnce()
        try await eventually("the stream ends") { try await gateway.statistics.streams == 0 }
        registry.release()
        try await expectNothingLeft(at: gateway)
        #expect(try await gateway.statistics.pendingSessions == 0)
        #expect(registry.epoch == (step == .move ? 1 : 0))
        // What was saved for nobody does no harm.
        let connection = try await connect(gateway)
        try await connection.send([1])
        #expect(registry.epoch == memory.credential.epoch)
        await connection.close()
        await gateway.end()
    }

    @Test func aServerClosesWhileTheRegistryIsAsked() async throws {
        let gateway = try await gateway()
        registry.hold(.question)
        let channel = try await helloAlone(to: gateway)
        try await eventually("the registry is asked") { registry.waiting == 1 }
        await gateway.end()
        try await channel.closeFuture.get()
        registry.release()
    }

    @Test func aHelloThatWaitsEndsWithItsTimeForTheHandshake() async throws {
        let gateway = try await gateway(handshake: .seconds(30))
        registry.hold(.question)
        let channel = try await helloAlone(to: gateway)
        try await eventually("the registry is asked") { registry.waiting == 1 }
        try await gateway.onLoop { $0.tendStreams($0.now + 30_000) }
        try await channel.closeFuture.get()
        #expect(try await gateway.statistics.slowStreams == 1)
        registry.release()
        try await expectNothingLeft(at: gateway)
        await gateway.end()
    }

    @Test func aSessionWhoseEpochIsNotSavedEndsWithTheTimeForTheHandshake() async throws {
        let gateway = try await gateway(handshake: .milliseconds(100))
        registry.hold(.move)
        let sent = Task {
            let connection = try await connect(gateway)
            try await connection.send([1])
            return connection
        }
        try await eventually("a slow stream ends") { try await gateway.statistics.slowStreams > 0 }
        #expect(gateway.payloads.isEmpty)
        registry.release()
        // The device comes again by itself, or hears that nobody knows of its message.
        switch await sent.result {
        case .success(let connection): await connection.closeAtOnce()
        case .failure(let error): #expect((error as? OuroborosError)?.code == .unknown)
        }
        try await expectNothingLeft(at: gateway)
        await gateway.end()
    }

    @Test func withoutTheRegistryNoHelloIsAnsweredAndSessionsGoOn() async throws {
        let (first, second) = (try await gateway(1), try await gateway(2, handshake: .milliseconds(200)))
        let connection = try await connect(first)
        try await connection.send([1])
        registry.setAway(true)
        let next = Task { try await connect(second) }
        // It ends without an answer, and the device tries again.
        try await eventually("two tries end without an answer") {
            try await second.statistics.slowStreams > 1
        }
        let statistics = try await second.statistics
        #expect(statistics.registryFailures > 1 && statistics.brokenStreams == 0)
        try await connection.send([2])
        registry.setAway(false)
        try await next.value.send([3])
        #expect(first.payloads == [[1], [2]] && second.payloads == [[3]])
        #expect(registry.epoch == 2)
        await connection.closeAtOnce()
        try await next.value.closeAtOnce()
        await first.end()
        await second.end()
    }

    @Test func aDeviceThatIsRemovedIsDroppedEverywhere() async throws {
        let gateway = try await gateway()
        let connection = try await connect(gateway)
        try await connection.send([1])
        registry.remove(Self.id)
        try await eventually("its session ends") { try await gateway.statistics.sessions == 0 }
        await connection.closeAtOnce()
        try await eventually("the stream ends") { try await gateway.statistics.streams == 0 }
        await gateway.end()
    }

    /// As copies of one device, what no device does: one of the two moves the epoch.
    @Test func anEpochThatMovedElsewhereEndsTheStream() async throws {
        let (first, second) = (try await gateway(1), try await gateway(2))
        let copy = Memory(memory.credential)
        registry.hold(.move)
        let waiting = Task { try await connect(first).send([1]) }
        try await eventually("the registry is asked") { registry.waiting == 1 }
        let stolen = Task {
            try await OuroborosClient.connect(
                to: second.server.endpoints[1], credential: copy.credential, store: copy)
        }
        try await eventually("the registry is asked for the copy, too") { registry.waiting == 2 }
        registry.release()
        _ = await waiting.result
        let other = try await stolen.value
        // The one that lost makes another handshake.
        try await eventually("a message of the copy is delivered") {
            (try? await other.send([2])) != nil
        }
        let failures = try await first.statistics.registryFailures + second.statistics.registryFailures
        #expect(failures == 1)
        await other.closeAtOnce()
        await first.end()
        await second.end()
    }
}
