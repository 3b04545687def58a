import NIOCore
import Ouroboros
import OuroborosNIO
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(3))) struct ConnectionTests {
    let credential = Credential.fixed(device: device, rootKey: .random())

    @Test(arguments: Way.allCases) func aMessageIsDeliveredAndEchoed(way: Way) async throws {
        let credential = credential
        try await withEchoServer(over: way, MemoryRegistry(credential)) { server, collector in
            try await OuroborosClient.withConnection(to: server.endpoints[0], credential: credential) {
                connection in
                try await connection.send("hello".utf8)
                #expect(collector.payloads == [Array("hello".utf8)])
                var messages = connection.messages.makeAsyncIterator()
                #expect(await messages.next()?.payload == Array("hello".utf8))
                #expect(connection.maximumMessage == 1200)
                let statistics = try await connection.statistics()
                #expect(statistics.handshakes == 1)
                #expect(statistics.drops == [:])
            }
            try await eventually("the device is gone") { try await server.statistics().devices == 0 }
        }
    }

    /// Sessions that did not last, which a program that started anew learns from its credential: with a time-out it
    /// Sessions did not last, as a program that was started anew reads in its credential: what it has to connect leaves time to.
    @Test func whoGivesUpSoonIsNotHeldBackForEver() async throws {
        let held = Credential.evolving(device: device, key: .random(), shortSessions: 7)
        let registry = MemoryRegistry(.evolving(device: device, key: held.key))
        let server = try await OuroborosServer.bind(to: loopback, registry: registry)
        var configuration = ClientConfiguration()
        configuration.connectTimeout = .seconds(8)
        let connection = try await OuroborosClient.connect(
            to: server.localAddress, credential: held, store: MemoryStore(), configuration: configuration)
        await connection.close()
        await server.close()
    }

    @Test func aMessageTravelsOverIPv6() async throws {
        let credential = credential
        let server = try await OuroborosServer.bind(
            to: SocketAddress(ipAddress: "::1", port: 0), registry: MemoryRegistry(credential))
        try await OuroborosClient.withConnection(to: server.localAddress, credential: credential) {
            connection in
            async let sent: Void = connection.send([6])
            var batches = server.batches.makeAsyncIterator()
            let batch = try #require(await batches.next())
            #expect(batch.messages.map(\.payload) == [[6]])
            batch.confirm()
            try await sent
        }
        await server.close()
    }

    @Test(arguments: Way.allCases) func anUnreliableMessageGoesOut(way: Way) async throws {
        let credential = credential
        try await withEchoServer(over: way, MemoryRegistry(credential), echoes: false) { server, collector in
            try await OuroborosClient.withConnection(to: server.endpoints[0], credential: credential) {
                connection in
                try await connection.send([1], delivery: .unreliable)
                try await connection.send([2])
                try await eventually("both arrive") { collector.count == 2 }
            }
        }
    }

    @Test(arguments: Way.allCases) func aBatchArrivesInPieces(way: Way) async throws {
        let credential = credential
        try await withEchoServer(over: way, MemoryRegistry(credential), echoes: false) { server, collector in
            try await OuroborosClient.withConnection(to: server.endpoints[0], credential: credential) {
                connection in
                let items = (0..<300).map { [UInt8](repeating: UInt8($0 % 256), count: $0 % 50) }
                try await connection.sendBatch(items + [[UInt8](repeating: 1, count: 1199)])
                #expect(collector.count == 301)
                // 7,350 bytes and their lengths fit seven packets or eight.
                let statistics = try await connection.statistics()
                #expect(statistics.sent < 30)
                let error = await #expect(throws: OuroborosError.self) {
                    try await connection.sendBatch([[UInt8](repeating: 1, count: 1201)])
                }
                #expect(error?.code == .tooLarge)
            }
        }
    }

    @Test(arguments: Way.allCases) func enqueuedMessagesAllArriveOnce(way: Way) async throws {
        let credential = credential
        try await withEchoServer(over: way, MemoryRegistry(credential), echoes: false) { server, collector in
            try await OuroborosClient.withConnection(to: server.endpoints[0], credential: credential) {
                connection in
                var pending: [PendingMessage] = []
                for number in 0..<500 {
                    pending.append(try await connection.enqueue(Array("\(number)".utf8)))
                }
                for message in pending {
                    try await message.delivered()
                }
                let numbers = collector.payloads.compactMap { Int(String(decoding: $0, as: UTF8.self)) }
                #expect(numbers.sorted() == Array(0..<500))
            }
        }
    }

    @Test(arguments: Way.allCases) func moreSendersThanPlacesAllGetThrough(way: Way) async throws {
        let credential = credential
        try await withEchoServer(over: way, MemoryRegistry(credential), echoes: false) { server, collector in
            var configuration = ClientConfiguration()
            configuration.link.places = 4
            try await OuroborosClient.withConnection(
                to: server.endpoints[0], credential: credential, configuration: configuration
            ) { connection in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for number in 0..<200 {
                        group.addTask { try await connection.send([UInt8(number)]) }
                    }
                    try await group.waitForAll()
                }
                #expect(Set(collector.payloads).count == 200)
                #expect(try await connection.statistics().pending == 0)
            }
        }
    }

    @Test(arguments: Way.allCases) func aMessageThatIsTooLargeIsRefused(way: Way) async throws {
        let credential = credential
        var configuration = ServerConfiguration()
        configuration.link.maxBody = 100
        try await withEchoServer(over: way, MemoryRegistry(credential), configuration: configuration) {
            server, _ in
            try await OuroborosClient.withConnection(to: server.endpoints[0], credential: credential) {
                connection in
                #expect(connection.maximumMessage == 100)
                let error = await #expect(throws: OuroborosError.self) {
                    try await connection.send([UInt8](repeating: 0, count: 101))
                }
                #expect(error?.code == .tooLarge)
                #expect(error?.message.contains("100 bytes") == true)
                try await connection.send([UInt8](repeating: 0, count: 100))
            }
        }
    }

    @Test(arguments: Way.allCases) func pingMeasuresARoundTrip(way: Way) async throws {
        let credential = credential
        try await withEchoServer(over: way, MemoryRegistry(credential)) { server, _ in
            try await OuroborosClient.withConnection(to: server.endpoints[0], credential: credential) {
                connection in
                for _ in 0..<5 {
                    #expect(try await connection.ping() > .zero)
                }
                async let first = connection.ping()
                async let second = connection.ping()
                _ = try await (first, second)
            }
        }
    }

    @Test(arguments: Way.allCases) func aRekeyingDisturbsNothing(way: Way) async throws {
        let credential = credential
        try await withEchoServer(over: way, MemoryRegistry(credential), echoes: false) { server, collector in
            try await OuroborosClient.withConnection(to: server.endpoints[0], credential: credential) {
                connection in
                var states = connection.stateChanges.makeAsyncIterator()
                guard case .connected(let first)? = await states.next() else {
                    Issue.record("not connected")
                    return
                }
                try await connection.send([1])
                try await connection.rekey()
                try await connection.send([2])
                // Over a stream the old one is closed first.
                var next = await states.next()
                if case .sessionClosed(.rekey, _, 0)? = next { next = await states.next() }
                guard case .connected(let second)? = next else {
                    Issue.record("no new session")
                    return
                }
                #expect(first != second)
                #expect(collector.payloads == [[1], [2]])
            }
        }
    }

    @Test(arguments: Way.allCases) func stateChangesEndWithTheConnection(way: Way) async throws {
        let credential = credential
        try await withEchoServer(over: way, MemoryRegistry(credential)) { server, _ in
            let connection = try await OuroborosClient.connect(
                to: server.endpoints[0], credential: credential)
            let states = connection.stateChanges
            await connection.close()
            var seen: [ConnectionState] = []
            for await state in states {
                seen.append(state)
            }
            #expect(seen.last == .closed)
            for await _ in connection.messages {}
            let error = await #expect(throws: OuroborosError.self) { try await connection.send([1]) }
            #expect(error?.code == .failed)
            await #expect(throws: OuroborosError.self) { try await connection.ping() }
        }
    }

    @Test(arguments: Way.allCases) func theServersShutdownIsTold(way: Way) async throws {
        let credential = credential
        let server = try await OuroborosServer.bind(to: [way.endpoint], registry: MemoryRegistry(credential))
        try await OuroborosClient.withConnection(to: server.endpoints[0], credential: credential) {
            connection in
            let states = connection.stateChanges
            try await eventually("the server has the session") { try await server.statistics().sessions == 1 }
            await server.close()
            let closed = await states.first { if case .sessionClosed = $0 { true } else { false } }
            #expect(closed == .sessionClosed(.shutdown, byServer: true, missing: 0))
        }
    }

    @Test(arguments: Way.allCases) func anErrorInTheBodyEndsTheConnection(way: Way) async throws {
        struct Stop: Error {}
        let credential = credential
        try await withEchoServer(over: way, MemoryRegistry(credential)) { server, _ in
            await #expect(throws: Stop.self) {
                try await OuroborosClient.withConnection(
                    to: server.endpoints[0], credential: credential
                ) { _ in throw Stop() }
            }
            try await eventually("the device is gone") { try await server.statistics().devices == 0 }
        }
    }
}
