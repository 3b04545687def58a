import NIOCore
import Ouroboros
import OuroborosTesting
import TestSupport
import Testing

@testable import OuroborosNIO

/// What has nothing to do costs nothing, for however many it is. Time is virtual.
@Suite(.timeLimit(.minutes(3))) struct RestTests {
    private let sessions: UInt64 = 200

    /// The gateway looks for what it may forget once a minute, and does nothing else.
    @Test func quietSessionsWakeNobody() async throws {
        let time = VirtualTime(step: .seconds(1))
        let network = MemoryNetwork(seed: 1)
        let credentials = (1...sessions).map {
            Credential.fixed(device: DeviceID(number: $0), rootKey: .random())
        }
        let turns = try await time.run {
            let loop = CountingLoop(time.eventLoopGroup.next())
            var serverConfiguration = ServerConfiguration()
            serverConfiguration.eventLoopGroup = loop
            var configuration = ClientConfiguration()
            configuration.eventLoopGroup = time.eventLoopGroup
            let gateway = try network.endpoint(port: 5700)
            let server = try await OuroborosServer.bind(
                to: [gateway], registry: MemoryRegistry(credentials), configuration: serverConfiguration)
            let reader = Task { for await batch in server.batches { batch.confirm() } }
            var connections: [OuroborosConnection] = []
            for credential in credentials {
                let connection = try await OuroborosClient.connect(
                    to: gateway, credential: credential, configuration: configuration)
                try await connection.send([1])
                connections.append(connection)
            }
            // What is left of the handshakes ends.
            try await time.sleep(for: .seconds(120))
            let before = loop.turns
            try await time.sleep(for: .seconds(3600))
            let turns = loop.turns - before
            #expect(try await server.statistics().sessions == credentials.count)
            await server.close()
            for connection in connections { await connection.closeAtOnce() }
            await reader.value
            return turns
        }
        #expect(turns <= 62)
    }

    /// A message that nobody takes keeps a connection from being idle, and from nothing else.
    @Test func whatIsNotTakenIsLookedForSeldom() async throws {
        let time = VirtualTime()
        let network = MemoryNetwork(seed: 1)
        let credential = Credential.fixed(device: device, rootKey: .random())
        let turns = try await time.run {
            let loop = CountingLoop(time.eventLoopGroup.next())
            var serverConfiguration = ServerConfiguration()
            serverConfiguration.eventLoopGroup = time.eventLoopGroup
            var configuration = ClientConfiguration()
            configuration.eventLoopGroup = loop
            configuration.idleTimeout = .milliseconds(200)
            let gateway = try network.endpoint(port: 5700)
            let server = try await OuroborosServer.bind(
                to: [gateway], registry: MemoryRegistry(credential), configuration: serverConfiguration)
            let connection = try await OuroborosClient.connect(
                to: gateway, credential: credential, configuration: configuration)
            _ = try await connection.ping()
            let pending = server.post([1], to: device)
            try await time.sleep(for: .seconds(1))
            let before = loop.turns
            try await time.sleep(for: .seconds(10))
            let turns = loop.turns - before
            #expect(connection.state != .closed)
            await connection.closeAtOnce()
            try? await pending.delivered()
            await server.close()
            return turns
        }
        // Five looks a second, and what the engines say to each other meanwhile.
        #expect(turns <= 100)
    }

    /// What cannot be sent now is no reason to try each millisecond.
    @Test func whatIsBlockedIsLookedAtSeldom() {
        #expect(LoopTimer.wake(5, maySend: true, now: 10) == 5)
        #expect(LoopTimer.wake(10, maySend: false, now: 10) == 110)
        #expect(LoopTimer.wake(500, maySend: false, now: 10) == 500)
        #expect(LoopTimer.wake(nil, maySend: false, now: 10) == nil)
    }

    /// Streams that are well are looked at often enough to find the one that is not in time.
    @Test func howOftenStreamsAreLookedAt() {
        #expect(ServerStreams.period(isQuiet: false, stall: .seconds(30)) == 1000)
        #expect(ServerStreams.period(isQuiet: true, stall: .seconds(30)) == 10_000)
        #expect(ServerStreams.period(isQuiet: true, stall: .seconds(8)) == 4000)
        #expect(ServerStreams.period(isQuiet: true, stall: .milliseconds(100)) == 1000)
    }
}
