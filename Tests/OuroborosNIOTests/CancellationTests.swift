import NIOCore
import NIOPosix
import Ouroboros
import OuroborosNIO
import TestSupport
import Testing

/// A task that is cancelled ends soon, wherever it waits, and leaves no socket behind.
@Suite(.timeLimit(.minutes(3))) struct CancellationTests {
    let credential = Credential.fixed(device: device, rootKey: .random())
    let network = CountingNetwork()

    private func isGone() async throws {
        try await eventually("nothing is left of \(network.made) sockets") { network.isGone }
    }

    /// A connection whose server confirms nothing; cancelled in `body`, once `isThere` holds.
    private func cancelled(
        isDeaf: Bool = false, isThere: @escaping @Sendable (OuroborosConnection) async throws -> Bool,
        _ body: @escaping @Sendable (OuroborosConnection) async throws -> Void
    ) async throws {
        let (credential, network) = (credential, network)
        try await OuroborosServer.withServer(at: loopback, registry: MemoryRegistry(credential)) { server in
            let connection = try await OuroborosClient.connect(
                to: Endpoint(.datagrams(network), server.localAddress), credential: credential)
            if isDeaf { network.becomeDeaf() }
            let task = Task { try await body(connection) }
            try await eventually("it waits") { try await isThere(connection) }
            task.cancel()
            try await task.value
            await connection.closeAtOnce()
        }
        #expect(network.made == 1)
        try await isGone()
    }

    @Test(arguments: [false, true]) func connecting(waits: Bool) async throws {
        let (credential, network) = (credential, network)
        let task = Task {
            try await OuroborosClient.connect(
                to: Endpoint(.datagrams(network), .loopback(port: 9)), credential: credential)
        }
        if waits {
            try await eventually("its socket is open") { network.open == 1 }
        }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(network.open == 0)
        try await isGone()
    }

    @Test func connectingOverAStream() async throws {
        // Somebody listens, and says nothing.
        let group = MultiThreadedEventLoopGroup.singleton
        let (accepted, arrive) = AsyncStream.makeStream(of: (any Channel).self)
        let listener = try await ServerBootstrap(group: group)
            .childChannelInitializer { channel in
                arrive.yield(channel)
                return channel.eventLoop.makeSucceededVoidFuture()
            }
            .bind(to: loopback).get()
        let address = try #require(listener.localAddress)
        let task = Task {
            try await OuroborosClient.connect(to: .tcp(address), credential: credential)
        }
        var arrivals = accepted.makeAsyncIterator()
        let channel = try #require(await arrivals.next())
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        try await channel.closeFuture.get()
        try await listener.close()
    }

    @Test func sendingWhatIsInFlight() async throws {
        try await cancelled {
            try await $0.statistics().pending == 1
        } _: { connection in
            let error = await #expect(throws: OuroborosError.self) { try await connection.send([1]) }
            #expect(error?.code == .unknown)
        }
    }

    @Test func sendingAndEnqueueingWhatWaits() async throws {
        try await cancelled {
            try await $0.statistics().pending == 64
        } _: { connection in
            await withTaskGroup(of: Void.self) { group in
                for _ in 0..<64 {
                    group.addTask { try? await connection.send([1]) }
                }
                // It waits for a place, until the others were taken back.
                group.addTask {
                    for _ in 0..<65 { _ = try? await connection.enqueue([2]) }
                }
            }
        }
    }

    @Test func sendingABatch() async throws {
        try await cancelled {
            try await $0.statistics().pending > 0
        } _: { connection in
            await #expect(throws: OuroborosError.self) {
                try await connection.sendBatch([[1], [2], [UInt8](repeating: 1, count: 1200)])
            }
        }
    }

    @Test func receiving() async throws {
        try await cancelled { _ in
            true
        } _: { connection in
            var messages = connection.messages.makeAsyncIterator()
            #expect(await messages.next() == nil)
        }
    }

    @Test func pinging() async throws {
        try await cancelled(isDeaf: true) { _ in
            true
        } _: { connection in
            await #expect(throws: CancellationError.self) {
                try await connection.ping(timeout: .seconds(600))
            }
        }
    }

    @Test func closing() async throws {
        // Nobody hears the answer to CLOSE.
        try await cancelled(isDeaf: true) { _ in
            true
        } _: {
            await $0.close()
        }
    }

    /// Connects, sends, receives and closes, and is cancelled at a different moment each time.
    @Test(arguments: Way.allCases) func atAnyMoment(way: Way) async throws {
        let (credential, network) = (credential, network)
        try await withEchoServer(over: way, MemoryRegistry(credential)) { server, _ in
            let target =
                way == .udp ? Endpoint(.datagrams(network), server.localAddress) : server.endpoints[0]
            for moment in 0..<60 {
                let task = Task {
                    try await OuroborosClient.withConnection(to: target, credential: credential) {
                        connection in
                        var messages = connection.messages.makeAsyncIterator()
                        for _ in 0..<5 {
                            try await connection.send([1])
                            _ = await messages.next()
                            _ = try await connection.ping()
                        }
                    }
                }
                try await Task.sleep(for: .microseconds(moment * 50))
                task.cancel()
                _ = await task.result
                #expect(network.open == 0)
            }
            try await eventually("the streams are gone") { try await server.statistics().streams == 0 }
            #expect(way == .tcp || network.made > 0)
        }
        try await isGone()
    }

    @Test(arguments: Way.allCases) func aServer(way: Way) async throws {
        let credential = credential
        let (listening, tell) = AsyncStream.makeStream(of: Endpoint.self)
        let network = network
        let task = Task {
            let endpoint = way == .udp ? Endpoint(.datagrams(network), loopback) : way.endpoint
            try await OuroborosServer.withServer(at: [endpoint], registry: MemoryRegistry(credential)) {
                server in
                tell.yield(way.at(server.localAddress))
                // The batch is never confirmed: closing would wait for it.
                for await batch in server.batches {
                    try? await server.send(batch.messages[0].payload, to: device)
                }
            }
        }
        var addresses = listening.makeAsyncIterator()
        let address = try #require(await addresses.next())
        let connection = try await OuroborosClient.connect(to: address, credential: credential)
        _ = try await connection.enqueue([1])
        var messages = connection.messages.makeAsyncIterator()
        _ = await messages.next()
        task.cancel()
        try await task.value
        #expect(network.open == 0 && network.made == (way == .udp ? 1 : 0))
        await connection.closeAtOnce()
        try await isGone()
    }
}
