import NIOCore
import NIOPosix
import Ouroboros
import OuroborosNIO
import TestSupport
import Testing

/// What is different over TCP.
@Suite(.timeLimit(.minutes(3))) struct StreamTests {
    let credential = Credential.fixed(device: device, rootKey: .random())

    @Test(arguments: Way.allCases, ["127.0.0.1", "::1"])
    func oneServerListensOnBothFamilies(way: Way, host: String) async throws {
        let credential = credential
        // All addresses of both families.
        let any = way.at(try SocketAddress(ipAddress: "::", port: 0))
        try await OuroborosServer.withServer(at: [any], registry: MemoryRegistry(credential)) { server in
            let port = server.localAddress.port ?? 0
            let target = way.at(try SocketAddress(ipAddress: host, port: port))
            try await OuroborosClient.withConnection(to: target, credential: credential) { connection in
                async let sent: Void = connection.send([4])
                var batches = server.batches.makeAsyncIterator()
                let batch = try #require(await batches.next())
                #expect(batch.messages.map(\.payload) == [[4]])
                batch.confirm()
                try await sent
            }
        }
    }

    @Test func oneServerHasManyEndpoints() async throws {
        let credentials = (1...4).map { Credential.fixed(device: DeviceID(number: $0), rootKey: .random()) }
        let endpoints: [Endpoint] = [.udp(loopback), .tcp(loopback), .udp(loopback), .tcp(loopback)]
        try await OuroborosServer.withServer(at: endpoints, registry: MemoryRegistry(credentials)) { server in
            #expect(server.endpoints.count == 4)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (credential, endpoint) in zip(credentials, server.endpoints) {
                    group.addTask {
                        try await OuroborosClient.withConnection(to: endpoint, credential: credential) {
                            connection in
                            try await connection.send([1])
                            // The answer comes the same way.
                            var messages = connection.messages.makeAsyncIterator()
                            #expect(await messages.next()?.payload == [2])
                        }
                    }
                }
                var seen = 0
                for await batch in server.batches {
                    batch.confirm()
                    for message in batch.messages {
                        _ = server.post([2], to: message.device)
                        seen += 1
                    }
                    if seen == 4 { break }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test func aDeviceThatChangesTransportIsAnsweredWhereItIs() async throws {
        let root = Credential.evolving(device: device, key: .random())
        let registry = MemoryRegistry(root)
        let store = MemoryStore()
        try await OuroborosServer.withServer(at: [.udp(loopback), .tcp(loopback)], registry: registry) {
            server in
            var batches = server.batches.makeAsyncIterator()
            for (round, index) in [0, 1, 0, 1].enumerated() {
                let connection = try await OuroborosClient.connect(
                    to: server.endpoints[index], credential: store.last ?? root, store: store)
                async let sent: Void = connection.send([UInt8(round)])
                try #require(await batches.next()).confirm()
                try await sent
                async let posted: Void = server.send([9], to: device)
                var messages = connection.messages.makeAsyncIterator()
                #expect(await messages.next()?.payload == [9])
                try await posted
                // It vanishes: the old session stays where it was.
                await connection.closeAtOnce()
            }
            // Each second one is short until something is heard in it: that it is not is saved, too.
            #expect(store.epochs == [1, 2, 2, 3, 4, 4])
        }
    }

    @Test func connectionsAreLimited() async throws {
        var configuration = ServerConfiguration()
        configuration.maximumStreams = 3
        configuration.streamsPerAddress = 2
        let small = configuration
        try await withEchoServer(over: .tcp, MemoryRegistry([]), configuration: small) { server, _ in
            let group = MultiThreadedEventLoopGroup.singleton
            var channels: [any Channel] = []
            for _ in 0..<4 {
                channels.append(
                    try await ClientBootstrap(group: group).connect(to: server.localAddress).get())
            }
            try await eventually("two are refused") { try await server.statistics().refusedStreams == 2 }
            try await eventually("two are left") { channels.count(where: \.isActive) == 2 }
            for channel in channels {
                try? await channel.close()
            }
            try await eventually("none is left") { try await server.statistics().streams == 0 }
        }
    }

    @Test func whoSaysNothingIsEnded() async throws {
        var configuration = ServerConfiguration()
        configuration.streamHandshakeTimeout = .milliseconds(100)
        let strict = configuration
        try await withEchoServer(over: .tcp, MemoryRegistry([]), configuration: strict) { server, _ in
            let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .connect(to: server.localAddress).get()
            try await channel.closeFuture.get()
            try await eventually("it counts as slow") { try await server.statistics().slowStreams == 1 }
        }
    }

    @Test func aPacketThatStaysHalfSentEndsTheStream() async throws {
        let credential = credential
        var configuration = ServerConfiguration()
        configuration.streamStallTimeout = .milliseconds(100)
        let strict = configuration
        try await withEchoServer(
            over: .tcp, MemoryRegistry(credential), configuration: strict
        ) { server, _ in
            let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .connect(to: server.localAddress).get()
            // The beginning of a HELLO.
            try await channel.writeAndFlush(ByteBuffer(bytes: [0x16, 0, 0, 28, 0, 0]))
            try await channel.closeFuture.get()
            try await eventually("it counts as slow") { try await server.statistics().slowStreams == 1 }
        }
    }

    @Test(arguments: [
        [0x11, 1, 0xff, 0xff], [UInt8](repeating: 7, count: 100),
        [0x16, 0, 0, 28] + [UInt8](repeating: 0, count: 56),
    ])
    func whatIsNoHandshakeEndsTheStream(bytes: [UInt8]) async throws {
        try await withEchoServer(over: .tcp, MemoryRegistry(credential)) { server, _ in
            let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .connect(to: server.localAddress).get()
            try await channel.writeAndFlush(ByteBuffer(bytes: bytes))
            try await channel.closeFuture.get()
            try await eventually("it counts as broken") { try await server.statistics().brokenStreams == 1 }
            let statistics = try await server.statistics()
            #expect(statistics.streams == 0)
            #expect(statistics.pendingSessions == 0)
        }
    }

    @Test func aReaderThatIsSlowStopsTheStreamAndNotTheOtherDirection() async throws {
        let credential = credential
        var configuration = ServerConfiguration()
        configuration.queuePerDevice = 8
        let small = configuration
        try await OuroborosServer.withServer(
            at: [.tcp(loopback)], registry: MemoryRegistry(credential), configuration: small
        ) { server in
            try await OuroborosClient.withConnection(to: server.endpoints[0], credential: credential) {
                connection in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    // More than the sockets hold: what is not read stays with the sender.
                    let payload = [UInt8](repeating: 7, count: 1000)
                    group.addTask {
                        for _ in 0..<200 {
                            try await connection.send(payload, delivery: .unreliable)
                        }
                        try await connection.send([1])
                    }
                    try await eventually("nine are held") { try await server.statistics().unconfirmed == 9 }
                    // The server still writes, and the client still reads.
                    async let posted: Void = server.send([2], to: device, delivery: .unreliable)
                    var messages = connection.messages.makeAsyncIterator()
                    #expect(await messages.next()?.payload == [2])
                    try await posted
                    let unconfirmed = try await server.statistics().unconfirmed
                    #expect(unconfirmed == 9)
                    var seen = 0
                    for await batch in server.batches {
                        #expect(batch.messages.count <= 9)
                        seen += batch.messages.count
                        batch.confirm()
                        if seen == 201 { break }
                    }
                    try await group.waitForAll()
                }
            }
        }
    }

    @Test func aNewStreamReplacesTheOldOneAndTheThirdEndsTheFirst() async throws {
        let credential = credential
        try await withEchoServer(over: .tcp, MemoryRegistry(credential), echoes: false) { server, _ in
            var connections: [OuroborosConnection] = []
            for round in 1...3 {
                let connection = try await OuroborosClient.connect(
                    to: server.endpoints[0], credential: credential)
                try await connection.send([UInt8(round)])
                connections.append(connection)
                let streams = min(round, 2)
                try await eventually("\(streams) streams are there") {
                    try await server.statistics().streams == streams
                }
            }
            // The second still drains.
            try await connections[1].send([4])
            for connection in connections {
                await connection.closeAtOnce()
            }
        }
    }

    @Test func aLostStreamIsFollowedByAnother() async throws {
        let credential = credential
        let registry = MemoryRegistry(credential)
        var configuration = ClientConfiguration()
        configuration.link.firstTimeout = 50
        let quick = configuration
        let forwarder = try await Forwarder.start()
        try await withEchoServer(over: .tcp, registry, echoes: false) { server, collector in
            forwarder.target = server.localAddress
            try await OuroborosClient.withConnection(
                to: .tcp(forwarder.address), credential: credential, configuration: quick
            ) { connection in
                let states = connection.stateChanges
                try await connection.send([1])
                await forwarder.cut()
                // A reader on a stream that broke hears it; what is sent meanwhile goes over the next one.
                for await state in states where state == .interrupted { break }
                try await connection.send([2])
                #expect(collector.payloads == [[1], [2]])
                #expect(try await connection.statistics().handshakes == 2)
            }
        }
        await forwarder.close()
    }

    @Test func whatIsUnderWayWhenAStreamBreaksIsUnknown() async throws {
        let credential = credential
        let forwarder = try await Forwarder.start()
        try await OuroborosServer.withServer(at: [.tcp(loopback)], registry: MemoryRegistry(credential)) {
            server in
            forwarder.target = server.localAddress
            let connection = try await OuroborosClient.connect(
                to: .tcp(forwarder.address), credential: credential)
            let sent = Task { try await connection.send([1]) }
            var batches = server.batches.makeAsyncIterator()
            _ = await batches.next()
            await forwarder.cut()
            let error = await #expect(throws: OuroborosError.self) { try await sent.value }
            #expect(error?.code == .unknown)
            await connection.closeAtOnce()
        }
        await forwarder.close()
    }

    @Test func aStreamsPacketIsNoDatagramAndTheOtherWayRound() async throws {
        let credential = credential
        let registry = MemoryRegistry(credential)
        let forwarder = try await Forwarder.start()
        try await OuroborosServer.withServer(at: [.udp(loopback), .tcp(loopback)], registry: registry) {
            server in
            forwarder.target = server.endpoints[1].address
            let connection = try await OuroborosClient.connect(
                to: .tcp(forwarder.address), credential: credential)
            let sent = Task { try await connection.send([1]) }
            var batches = server.batches.makeAsyncIterator()
            try #require(await batches.next()).confirm()
            try await sent.value
            let socket = try await DatagramBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .bind(host: "127.0.0.1", port: 0).get()
            let before = try await server.statistics()
            // HELLO is 60 bytes; the rest are packets of the session. None opens as a datagram.
            let captured = forwarder.captured
            #expect(captured.count > 92)
            for packet in [captured[60...], captured[60..<92]] {
                try await socket.writeAndFlush(
                    AddressedEnvelope(
                        remoteAddress: server.endpoints[0].address, data: ByteBuffer(bytes: packet)))
            }
            try await eventually("both datagrams are dropped") {
                try await server.statistics().strayPackets == before.strayPackets + 2
            }
            // Nor does it in another stream.
            let other = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .connect(to: server.endpoints[1].address).get()
            try await other.writeAndFlush(ByteBuffer(bytes: captured[60...]))
            try await other.closeFuture.get()
            // HELLO itself gets silence while its session is held.
            let again = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .connect(to: server.endpoints[1].address).get()
            try await again.writeAndFlush(ByteBuffer(bytes: captured))
            try await again.closeFuture.get()
            let after = try await server.statistics()
            #expect(after.links.received == before.links.received)
            try await socket.close()
            await connection.closeAtOnce()
        }
        await forwarder.close()
    }
}

extension ServerStatistics {
    /// Those that belong to no session.
    fileprivate var strayPackets: UInt64 {
        let reasons: [DropReason] = [.unknownSession, .malformed]
        return reasons.reduce(0) { $0 + (drops[$1] ?? 0) }
    }
}
