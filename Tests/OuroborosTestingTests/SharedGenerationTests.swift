import NIOCore
import NIOPosix
import Ouroboros
import TestSupport
import Testing

@testable import OuroborosNIO

/// Which session of a fixed credential is the newest, of gateways that share a registry (PROTOCOL.md, Appendix B 28 to 30).
@Suite(.timeLimit(.minutes(3))) struct SharedGenerationTests {
    private static let id = DeviceID(number: 1)
    private let credential: Credential
    private let registry: SharedMemory

    init() {
        credential = .fixed(device: Self.id, rootKey: .random())
        registry = SharedMemory(credential)
    }

    private func gateways() async throws -> (SharedGateway, SharedGateway) {
        (try await .start(1, over: registry), try await .start(2, over: registry))
    }

    private typealias Datagram = AddressedEnvelope<ByteBuffer>

    /// A session of the device, made over UDP, whose packets come when the test sends them.
    private func handshake(at gateway: SharedGateway) async throws -> Session {
        let handshake = try ClientHandshake(credential)
        let place = gateway.server.endpoints[0].address
        let channel = try await DatagramBootstrap(group: MultiThreadedEventLoopGroup.singleton).bind(
            to: try SocketAddress(ipAddress: "127.0.0.1", port: 0)
        ) { channel in
            channel.eventLoop.makeCompletedFuture {
                try NIOAsyncChannel<Datagram, Datagram>(wrappingChannelSynchronously: channel)
            }
        }
        let hello = Datagram(remoteAddress: place, data: ByteBuffer(bytes: handshake.hello))
        let welcome = try await bounded("a WELCOME comes", by: .seconds(60)) {
            try await channel.executeThenClose { inbound, outbound in
                try await outbound.write(hello)
                for try await packet in inbound { return Array(packet.data.readableBytesView) }
                throw CancellationError()
            }
        }
        guard case .session(let session) = try handshake.receive(welcome) else {
            throw Hung("the WELCOME makes no session")
        }
        return session
    }

    private func send(_ message: [UInt8], in session: Session, to gateway: SharedGateway) async throws {
        let channel = try await DatagramBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(to: try SocketAddress(ipAddress: "127.0.0.1", port: 0)).get()
        let packet = ByteBuffer(bytes: try session.seal(message))
        try await channel.writeAndFlush(
            Datagram(remoteAddress: gateway.server.endpoints[0].address, data: packet))
        try await channel.close()
    }

    /// A session of the device that its first message has confirmed.
    @discardableResult
    private func connect(_ message: [UInt8], to gateway: SharedGateway) async throws -> Session {
        let session = try await handshake(at: gateway)
        let before = gateway.payloads.count
        try await send(message, in: session, to: gateway)
        try await eventually("the first message arrives") { gateway.payloads.count > before }
        return session
    }

    private func retires(at gateway: SharedGateway) async throws -> Bool {
        try await gateway.retirement(of: Self.id) != nil
    }

    private func tell(_ number: UInt64) {
        registry.tell(
            .confirmed(ConfirmedSession(device: Self.id, sessionID: 0x0900_0001, number: number)))
    }

    /// What was told is taken once the device was asked for.
    private func settled() async throws {
        let questions = registry.questions
        registry.tell(.changed(Self.id))
        try await eventually("the gateways ask for the device") { registry.questions > questions + 1 }
    }

    @Test func aFirstPacketThatWasHeldBackConfirmsNothing() async throws {
        let (first, second) = try await gateways()
        let held = try await handshake(at: first)
        registry.setDeaf(true)
        try await connect([2], to: second)
        #expect(registry.generation == 1)
        registry.setDeaf(false)
        try await send([1], in: held, to: first)
        try await eventually("the gateway has dropped it") {
            try await first.statistics.drops[.unknownSession] == 1
        }
        try await settled()
        #expect(first.payloads.isEmpty)
        let statistics = try await first.statistics
        #expect(statistics.sessions == 0 && statistics.pendingSessions == 0)
        #expect(registry.generation == 1)
        #expect(try await !retires(at: second))
        await first.end()
        await second.end()
    }

    @Test func overTCPToo() async throws {
        let (first, second) = try await gateways()
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(to: first.server.endpoints[1].address) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
        try await bounded("the gateway ends the stream", by: .seconds(60)) {
            let handshake = try ClientHandshake(credential, configuration: Session.Configuration().overStream)
            try await channel.executeThenClose { inbound, outbound in
                var incoming = inbound.makeAsyncIterator()
                var welcome: [UInt8] = []
                try await outbound.write(ByteBuffer(bytes: handshake.hello))
                while welcome.count < 52, let bytes = try await incoming.next() {
                    welcome += bytes.readableBytesView
                }
                guard case .session(let session) = try handshake.receive(welcome) else {
                    throw Hung("the WELCOME makes no session")
                }
                registry.setDeaf(true)
                try await connect([2], to: second)
                registry.setDeaf(false)
                try await outbound.write(ByteBuffer(bytes: session.seal([1])))
                while try await incoming.next() != nil {}
            }
        }
        try await settled()
        #expect(first.payloads.isEmpty)
        #expect(registry.generation == 1)
        #expect(try await !retires(at: second))
        await first.end()
        await second.end()
    }

    @Test func aNoticeOfTheSameOrALowerNumberIsIgnored() async throws {
        let (first, second) = try await gateways()
        try await connect([1], to: first)
        try await connect([2], to: first)
        #expect(registry.generation == 2)
        for number in [0, 1, 2] as [UInt64] {
            tell(number)
            try await settled()
            #expect(try await !retires(at: first), "after a notice of \(number)")
        }
        tell(3)
        try await eventually("the session drains") { try await retires(at: first) }
        await first.end()
        await second.end()
    }

    @Test func aNoticeEndsThePendingSessionsOfALowerNumberOnly() async throws {
        let (first, second) = try await gateways()
        let old = try await handshake(at: first)
        registry.generation = 5
        let new = try await handshake(at: first)
        tell(5)
        try await eventually("one is left") { try await first.statistics.pendingSessions == 1 }
        try await send([1], in: old, to: first)
        try await send([2], in: new, to: first)
        try await eventually("the other's message arrives") { first.payloads == [[2]] }
        #expect(registry.generation == 6)
        #expect(try await first.statistics.drops[.unknownSession] == 1)
        await first.end()
        await second.end()
    }

    @Test func pendingSessionsThatWereMadeLaterGoOn() async throws {
        let (first, second) = try await gateways()
        let sessions = [try await handshake(at: first), try await handshake(at: first)]
        for (number, session) in sessions.enumerated() {
            try await send([UInt8(number)], in: session, to: first)
            try await eventually("its message arrives") { first.payloads.count == number + 1 }
        }
        #expect(first.payloads == [[0], [1]])
        #expect(registry.generation == 2)
        await first.end()
        await second.end()
    }

    @Test func nothingIsHandedOnBeforeTheNumberIsDurable() async throws {
        let (first, second) = try await gateways()
        let session = try await handshake(at: first)
        registry.hold(.move)
        try await send([1], in: session, to: first)
        try await eventually("the registry is asked") { registry.waiting == 1 }
        try await send([2], in: session, to: first)
        try await eventually("the next packet waits behind it") {
            try await first.onLoop { $0.held.count } == 1
        }
        #expect(first.payloads.isEmpty)
        #expect(try await first.statistics.sessions == 0)
        registry.release()
        try await eventually("both messages arrive") { first.payloads == [[1], [2]] }
        try await send([3], in: session, to: first)
        try await eventually("the next one, too") { first.payloads == [[1], [2], [3]] }
        await first.end()
        await second.end()
    }

    /// The session goes on that the device has, and so does what was told of it meanwhile.
    @Test func aNumberThatIsNotSavedEndsNothingElse() async throws {
        let (first, second) = try await gateways()
        let session = try await connect([1], to: first)
        let next = try await handshake(at: first)
        registry.setAway(true)
        try await send([2], in: next, to: first)
        try await eventually("the registry fails") { try await first.statistics.registryFailures == 1 }
        try await send([3], in: session, to: first)
        try await eventually("the session goes on") { first.payloads == [[1], [3]] }
        #expect(try await first.statistics.pendingSessions == 0)
        registry.setAway(false)
        try await connect([4], to: first)
        #expect(registry.generation == 2)
        await first.end()
        await second.end()
    }

    @Test func aSessionThatANoticeEndsWhileItsNumberIsSavedIsNone() async throws {
        let (first, second) = try await gateways()
        let session = try await handshake(at: first)
        registry.hold(.move)
        try await send([1], in: session, to: first)
        try await eventually("the registry is asked") { registry.waiting == 1 }
        // It has the number 1, and the answer takes longer than the notice of the next.
        tell(2)
        try await eventually("the pending session ends") { try await first.statistics.pendingSessions == 0 }
        registry.release()
        try await eventually("it is dropped") { try await first.statistics.drops[.unknownSession] == 1 }
        #expect(first.payloads.isEmpty)
        #expect(try await first.statistics.sessions == 0)
        await first.end()
        await second.end()
    }

    @Test func whoWasAwayReadsTheNumbers() async throws {
        let (first, second) = try await gateways()
        try await connect([1], to: first)
        registry.setDeaf(true)
        try await connect([2], to: second)
        registry.setDeaf(false)
        #expect(try await !retires(at: first))
        registry.tell(.missed)
        try await eventually("the older session drains") { try await retires(at: first) }
        #expect(try await !retires(at: second))
        await first.end()
        await second.end()
    }

    /// Whoever has the newest session raises what the registry has; until then nobody is locked out.
    @Test(arguments: [true, false])
    func aRestoredRegistryIsRaised(isNoticed: Bool) async throws {
        let (first, second) = try await gateways()
        registry.generation = 6
        try await connect([1], to: first)
        let before = try await handshake(at: first)
        registry.generation = 2
        try await send([2], in: before, to: first)
        try await eventually("a session of before is dropped") {
            try await first.statistics.drops[.unknownSession] == 1
        }
        if isNoticed {
            registry.tell(.missed)
        } else {
            // Its number is lower than that of the older one, which asks.
            try await connect([3], to: second)
        }
        try await eventually("the registry's is raised") { registry.generation == 7 }
        #expect(try await !retires(at: first))
        // The next notice counts.
        try await connect([4], to: second)
        #expect(registry.generation == 8)
        try await eventually("the older session drains") { try await retires(at: first) }
        await first.end()
        await second.end()
    }
}
