import InMemoryLogging
import Logging
import NIOCore
import NIOPosix
import Ouroboros
import OuroborosNIO
import OuroborosTesting
import TestSupport
import Testing

/// What client and server tell of the engine's news: stalled messages, credentials of the other kind, handshakes that came
/// the wrong way, sessions that did not last.
@Suite(.timeLimit(.minutes(3))) struct EngineNewsTests {
    let credential = Credential.fixed(device: device, rootKey: .random())

    /// A path that loses what is above 600 bytes: one message does not hold up a hundred.
    @Test(arguments: [true, false]) func aLargeMessageHoldsUpNoOther(isUp: Bool) async throws {
        let time = VirtualTime(step: .milliseconds(20))
        let network = MemoryNetwork(seed: 3, impairment: .init(delay: .milliseconds(20), mtu: 628))
        let credential = credential
        let (delivered, code, told) = try await time.run {
            var serverConfiguration = ServerConfiguration()
            serverConfiguration.eventLoopGroup = time.eventLoopGroup
            var clientConfiguration = ClientConfiguration()
            clientConfiguration.eventLoopGroup = time.eventLoopGroup
            let gateway = try network.endpoint(port: 5700)
            let server = try await OuroborosServer.bind(
                to: [gateway], registry: MemoryRegistry(credential), configuration: serverConfiguration)
            let reader = Task { for await batch in server.batches { batch.confirm() } }
            let connection = try await OuroborosClient.connect(
                to: gateway, credential: credential, configuration: clientConfiguration)
            try await connection.send([0])
            let listener = Task { for await _ in connection.messages {} }
            let states = connection.stateChanges
            let events = server.events
            let told = Task { () -> Int? in
                if isUp {
                    for await case .messageStalled(let size, nil) in states { return size }
                } else {
                    for await case .stalled(device, let size) in events { return size }
                }
                return nil
            }
            @Sendable func send(_ payload: [UInt8]) async throws {
                if isUp {
                    try await connection.send(payload)
                } else {
                    try await server.send(payload, to: device)
                }
            }
            let large = Task { try await send([UInt8](repeating: 7, count: 1000)) }
            var delivered = 0
            for _ in 0..<100 {
                try await send([UInt8](repeating: 1, count: 20))
                delivered += 1
                try await time.sleep(for: .milliseconds(500))
            }
            var code: OuroborosError.Code?
            do {
                try await large.value
            } catch let error as OuroborosError {
                code = error.code
            }
            let size = await told.value
            await connection.close()
            await server.close()
            await reader.value
            await listener.value
            return (delivered, code, size)
        }
        #expect(delivered == 100)
        #expect(code == .stalled)
        #expect(told == 1000)
    }

    @Test(arguments: Way.allCases) func aCredentialOfTheOtherKindIsToldToTheOperator(way: Way) async throws {
        let log = InMemoryLogHandler()
        var configuration = ServerConfiguration()
        configuration.logger = Logger(label: "test") { _ in log }
        let key = SecretKey.random()
        for isFixedHere in [true, false] {
            let fixed = Credential.fixed(device: device, rootKey: key)
            let evolving = Credential.evolving(device: device, key: key)
            log.clear()
            try await withEchoServer(
                over: way, MemoryRegistry(isFixedHere ? fixed : evolving), configuration: configuration
            ) { server, _ in
                var impatient = ClientConfiguration()
                impatient.link.firstTimeout = 50
                impatient.connectTimeout = .milliseconds(1500)
                let error = await #expect(throws: OuroborosError.self) {
                    try await OuroborosClient.connect(
                        to: server.endpoints[0], credential: isFixedHere ? evolving : fixed,
                        store: MemoryStore(), configuration: impatient)
                }
                #expect(error?.code == .unreachable)
                let drops = try await server.statistics().drops
                #expect(drops.keys.map(\.self) == [.kind] && drops[.kind] ?? 0 > 1)
            }
            let warnings = log.entries.filter { $0.level == .warning }
            #expect(warnings.count == 1, "\(log.entries)")
            #expect(warnings.first?.message.description.contains("cannot connect") == true)
            #expect(warnings.first?.metadata["device"] == "\(device)")
        }
    }

    /// Each takes the device's session from the other.
    @Test func twoHoldersOfOneCredentialAreTold() async throws {
        let log = InMemoryLogHandler()
        var configuration = ServerConfiguration()
        configuration.logger = Logger(label: "test") { _ in log }
        let credential = credential
        try await withEchoServer(MemoryRegistry(credential), configuration: configuration) { server, _ in
            let first = try await OuroborosClient.connect(to: server.localAddress, credential: credential)
            let second = try await OuroborosClient.connect(to: server.localAddress, credential: credential)
            for _ in 1...4 {
                for connection in [first, second] {
                    try await connection.rekey()
                    _ = try await connection.ping()
                }
            }
            try await eventually("it is told") {
                log.entries.contains { $0.message.description.contains("two devices hold this credential") }
            }
            await first.closeAtOnce()
            await second.closeAtOnce()
        }
        let told = log.entries.filter { $0.message.description.contains("two devices hold") }
        #expect(told.count == 1 && told.first?.metadata["device"] == "\(device)", "\(log.entries)")
    }

    @Test(arguments: Way.allCases) func aHandshakeThatCameTheWrongWayIsCounted(way: Way) async throws {
        let configuration = LinkConfiguration.client
        let link = try Link(
            client: credential, configuration: way == .udp ? configuration.overStream : configuration)
        try link.connect(now: 1000)
        while try link.nextEvent() != nil {}
        var hello: [UInt8] = []
        _ = try link.transmit(now: 1000) { packet, _ in hello = Array(packet) }
        let bytes = ByteBuffer(bytes: hello)
        try await withEchoServer(over: way, MemoryRegistry(credential)) { server, _ in
            let group = MultiThreadedEventLoopGroup.singleton
            if way == .udp {
                let sender = try await DatagramBootstrap(group: group).bind(to: loopback).get()
                try await sender.writeAndFlush(
                    AddressedEnvelope(remoteAddress: server.localAddress, data: bytes))
                try await eventually("it is counted") {
                    try await server.statistics().drops == [.transport: 1]
                }
                try await sender.close()
            } else {
                let channel = try await ClientBootstrap(group: group).connect(to: server.localAddress).get()
                try await channel.writeAndFlush(bytes)
                try await channel.closeFuture.get()
                try await eventually("it is counted") {
                    try await server.statistics().drops == [.transport: 1]
                }
            }
            let pending = try await server.statistics().pendingSessions
            #expect(pending == 0)
        }
    }

    /// A server waits a while for HELLO and no longer: the stream is opened when that may be sent.
    @Test func aStreamIsOpenedNoSoonerThanItsHandshakeMayBegin() async throws {
        let key = SecretKey.random()
        var configuration = ServerConfiguration()
        configuration.streamHandshakeTimeout = .milliseconds(300)
        try await withEchoServer(
            over: .tcp, MemoryRegistry(.evolving(device: device, key: key)), configuration: configuration
        ) { server, _ in
            var patient = ClientConfiguration()
            patient.link.shortSessionWait = 2500
            let begin = ContinuousClock.now
            try await OuroborosClient.withConnection(
                to: server.endpoints[0],
                credential: .evolving(device: device, key: key, shortSessions: 7), store: MemoryStore(),
                configuration: patient
            ) { connection in
                try await connection.send([1])
            }
            #expect(.now - begin >= .milliseconds(2500))
            let statistics = try await server.statistics()
            #expect(statistics.slowStreams == 0 && statistics.links.handshakes == 1)
        }
    }

    /// More than a connection may have unread, held for longer than a stall: nothing ends.
    @Test func aSlowApplicationEndsNoStream() async throws {
        let credential = credential
        var configuration = ServerConfiguration()
        configuration.streamStallTimeout = .seconds(1)
        configuration.queuePerDevice = 1000
        let large = configuration
        try await OuroborosServer.withServer(
            at: [.tcp(loopback)], registry: MemoryRegistry(credential), configuration: large
        ) { server in
            var sender = ClientConfiguration()
            sender.link.places = 256
            try await OuroborosClient.withConnection(
                to: server.endpoints[0], credential: credential, configuration: sender
            ) { connection in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for number in UInt8(0)..<200 {
                        group.addTask { try await connection.send([number]) }
                    }
                    // No further than 64 past the lowest that is not handed on.
                    try await eventually("65 are held") { try await server.statistics().unconfirmed == 65 }
                    try await Task.sleep(for: .seconds(2))
                    let held = try await server.statistics()
                    #expect(held.unconfirmed == 65 && held.streams == 1)
                    group.addTask { for await batch in server.batches { batch.confirm() } }
                    for _ in 0..<200 { try await group.next() }
                    group.cancelAll()
                }
            }
        }
    }
}
