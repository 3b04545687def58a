import Dispatch
import NIOCore
import NIOPosix
import Ouroboros
import OuroborosNIO
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(3))) struct FlowTests {
    let credential = Credential.fixed(device: device, rootKey: .random())

    @Test(arguments: Way.allCases) func manyClientsShareOneSocket(way: Way) async throws {
        let credentials = (1...50).map { Credential.fixed(device: DeviceID(number: $0), rootKey: .random()) }
        try await withEchoServer(over: way, MemoryRegistry(credentials)) { server, collector in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for credential in credentials {
                    group.addTask {
                        try await OuroborosClient.withConnection(
                            to: server.endpoints[0], credential: credential
                        ) { connection in
                            var messages = connection.messages.makeAsyncIterator()
                            for round in UInt8(0)..<5 {
                                let payload = credential.deviceID.bytes + [round]
                                try await connection.send(payload)
                                #expect(await messages.next()?.payload == payload)
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(collector.count == 250)
            for credential in credentials {
                let device = credential.deviceID
                #expect(collector.payloads(of: device) == (0..<5).map { device.bytes + [$0] })
            }
            let statistics = try await server.statistics()
            #expect(statistics.links.handshakes == 50)
        }
    }

    @Test(arguments: Way.allCases) func whatIsNotConfirmedIsNotDelivered(way: Way) async throws {
        let credential = credential
        try await OuroborosServer.withServer(at: [way.endpoint], registry: MemoryRegistry(credential)) {
            server in
            let address = server.endpoints[0]
            let isConfirmed = Flag()
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    try await OuroborosClient.withConnection(to: address, credential: credential) {
                        connection in
                        try await connection.send([1])
                        // Only what was confirmed is.
                        #expect(isConfirmed.isSet)
                    }
                }
                var batches = server.batches.makeAsyncIterator()
                let batch = try #require(await batches.next())
                #expect(batch.messages.map(\.payload) == [[1]])
                let unconfirmed = try await server.statistics().unconfirmed
                #expect(unconfirmed == 1)
                isConfirmed.set()
                batch.confirm()
                try await group.waitForAll()
            }
            let left = try await server.statistics().unconfirmed
            #expect(left == 0)
        }
    }

    @Test func aServerThatIsNotReadTakesNoMoreThanItsQueue() async throws {
        let credential = credential
        var configuration = ServerConfiguration()
        configuration.queuePerDevice = 2
        configuration.receiveBatch = 1
        let small = configuration
        try await OuroborosServer.withServer(
            at: loopback, registry: MemoryRegistry(credential), configuration: small
        ) { server in
            let address = server.localAddress
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    try await OuroborosClient.withConnection(to: address, credential: credential) {
                        connection in
                        // Each fills a packet, and all are handed over at once: the four that the window lets go
                        // go together, whatever holds this task up.
                        try await connection.sendBatch(
                            (UInt8(0)..<60).map { [$0] + [UInt8](repeating: 0, count: 1199) })
                    }
                }
                try await eventually("BUSY is said, as the queue is full") {
                    try await server.statistics().links.drops[.busy] ?? 0 > 0
                }
                let unconfirmed = try await server.statistics().unconfirmed
                #expect(unconfirmed == 2)
                var seen: Set<UInt8> = []
                for await batch in server.batches {
                    #expect(batch.messages.count <= 2)
                    seen.formUnion(batch.messages.map { $0.payload[0] })
                    batch.confirm()
                    if seen.count == 60 { break }
                }
                try await group.waitForAll()
            }
        }
    }

    /// A queue of two packets, and four that are there when the server reads so many at once.
    @Test(arguments: [(1, 2), (2, 2), (3, 3), (32, 4)])
    func whatIsReadAtOnceIsTakenAsAWhole(receiveBatch: Int, taken: Int) async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        var configuration = ServerConfiguration()
        configuration.queuePerDevice = 2
        configuration.receiveBatch = receiveBatch
        configuration.eventLoopGroup = group
        let (small, credential) = (configuration, credential)
        try await OuroborosServer.withServer(
            at: loopback, registry: MemoryRegistry(credential), configuration: small
        ) { server in
            let connection = try await OuroborosClient.connect(
                to: server.localAddress, credential: credential)
            async let first: Void = connection.send([0])
            var batches = server.batches.makeAsyncIterator()
            await batches.next()?.confirm()
            try await first
            let sent = try await connection.statistics().sent
            let received = try await server.statistics().links.received
            // While the server's loop is held up they wait in its socket.
            let isSent = DispatchSemaphore(value: 0)
            let isHeld = Flag()
            group.next().execute {
                isHeld.set()
                isSent.wait()
            }
            try await eventually("the loop is held up") { isHeld.isSet }
            for number in UInt8(1)...4 { _ = try await connection.enqueue([number]) }
            try await eventually("all are sent") { try await connection.statistics().sent == sent + 4 }
            isSent.signal()
            try await eventually("all are read") {
                try await server.statistics().links.received == received + 4
            }
            #expect(try await server.statistics().unconfirmed == taken)
            await connection.closeAtOnce()
        }
        try await group.shutdownGracefully()
    }

    @Test func aClientThatDoesNotReadTakesNoMoreThanItsQueue() async throws {
        let credential = credential
        var configuration = ClientConfiguration()
        configuration.queueCapacity = 2
        let small = configuration
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        var serverConfiguration = ServerConfiguration()
        serverConfiguration.eventLoopGroup = loop
        try await withEchoServer(
            MemoryRegistry(credential), configuration: serverConfiguration, echoes: false
        ) { server, _ in
            try await OuroborosClient.withConnection(
                to: server.localAddress, credential: credential, configuration: small
            ) { connection in
                try await connection.send([0])
                // In one turn of the server's loop: the four that its window lets go go together. Were there a pause
                // after two, their time-outs would take the window, and there would be no third to say BUSY to.
                try await loop.submit {
                    for number in UInt8(0)..<8 { _ = server.post([number], to: device) }
                }.get()
                try await eventually("BUSY is said, as the queue is full") {
                    try await connection.statistics().drops[.busy] ?? 0 > 0
                }
                var seen: Set<UInt8> = []
                for await message in connection.messages {
                    seen.insert(message.payload[0])
                    if seen.count == 8 { break }
                }
            }
        }
    }

    @Test(arguments: Way.allCases) func messagesCanBeConfirmedByHand(way: Way) async throws {
        let credential = credential
        var configuration = ClientConfiguration()
        configuration.acknowledgement = .whenConfirmed
        let careful = configuration
        try await OuroborosServer.withServer(at: [way.endpoint], registry: MemoryRegistry(credential)) {
            server in
            try await OuroborosClient.withConnection(
                to: server.endpoints[0], credential: credential, configuration: careful
            ) { connection in
                try await eventually("the server has the session") {
                    try await server.statistics().sessions == 1
                }
                try await withThrowingTaskGroup(of: Void.self) { group in
                    let isConfirmed = Flag()
                    group.addTask {
                        try await server.send([5], to: device)
                        #expect(isConfirmed.isSet)
                    }
                    var messages = connection.messages.makeAsyncIterator()
                    let message = try #require(await messages.next())
                    isConfirmed.set()
                    connection.confirm(message)
                    try await group.waitForAll()
                }
            }
        }
    }

    @Test(arguments: Way.allCases) func aCancelledSendThatWasNotSentFails(way: Way) async throws {
        let credential = credential
        // Nobody confirms: the first messages stay in flight, and the last waits behind the window.
        try await OuroborosServer.withServer(at: [way.endpoint], registry: MemoryRegistry(credential)) {
            server in
            let connection = try await OuroborosClient.connect(
                to: server.endpoints[0], credential: credential)
            for _ in 0..<64 {
                _ = try await connection.enqueue([1])
            }
            let task = Task { try await connection.send([2]) }
            task.cancel()
            let error = await #expect(throws: OuroborosError.self) { try await task.value }
            #expect(error?.code == .failed)
            await connection.closeAtOnce()
        }
    }

    @Test(arguments: Way.allCases) func aCancelledSendThatWasSentIsUnknown(way: Way) async throws {
        let credential = credential
        try await OuroborosServer.withServer(at: [way.endpoint], registry: MemoryRegistry(credential)) {
            server in
            let connection = try await OuroborosClient.connect(
                to: server.endpoints[0], credential: credential)
            let task = Task { try await connection.send([1]) }
            var batches = server.batches.makeAsyncIterator()
            let batch = try #require(await batches.next())
            task.cancel()
            let error = await #expect(throws: OuroborosError.self) { try await task.value }
            #expect(error?.code == .unknown)
            // The engine goes on with it.
            batch.confirm()
            try await eventually("nothing is under way") {
                try await connection.statistics().pending == 0
            }
            await connection.close()
        }
    }

    @Test(arguments: Way.allCases) func whatIsUnderWayWhenTheConnectionEndsIsTold(way: Way) async throws {
        let credential = credential
        try await OuroborosServer.withServer(at: [way.endpoint], registry: MemoryRegistry(credential)) {
            server in
            let connection = try await OuroborosClient.connect(
                to: server.endpoints[0], credential: credential)
            let sent = Task { try await connection.send([1]) }
            var batches = server.batches.makeAsyncIterator()
            _ = await batches.next()
            await connection.closeAtOnce()
            let error = await #expect(throws: OuroborosError.self) { try await sent.value }
            #expect(error?.code == .unknown)
        }
    }

    @Test(arguments: Way.allCases) func aDeviceThatIsNotConnectedGetsNothing(way: Way) async throws {
        let credential = credential
        try await withEchoServer(over: way, MemoryRegistry(credential)) { server, _ in
            let error = await #expect(throws: OuroborosError.self) { try await server.send([1], to: device) }
            #expect(error?.code == .notConnected)
        }
    }

    @Test(arguments: Way.allCases) func closingWaitsForWhatIsNotConfirmed(way: Way) async throws {
        let credential = credential
        let server = try await OuroborosServer.bind(to: [way.endpoint], registry: MemoryRegistry(credential))
        let connection = try await OuroborosClient.connect(to: server.endpoints[0], credential: credential)
        async let sent: Void = connection.send([1])
        var batches = server.batches.makeAsyncIterator()
        let batch = try #require(await batches.next())
        let isClosed = Flag()
        async let closed: Void = {
            await server.close()
            isClosed.set()
        }()
        try await eventually("the server takes nothing for its devices any more") {
            do {
                try await server.send([2], to: device, delivery: .unreliable)
                return false
            } catch let error as OuroborosError where error.code == .notConnected {
                return true
            }
        }
        #expect(!isClosed.isSet)
        batch.confirm()
        try await sent
        await closed
        #expect(await batches.next() == nil)
        await connection.closeAtOnce()
    }

    @Test(arguments: Way.allCases) func aDeviceThatConnectsAgainReplacesItsSession(way: Way) async throws {
        let credential = credential
        try await withEchoServer(over: way, MemoryRegistry(credential), echoes: false) { server, collector in
            let first = try await OuroborosClient.connect(to: server.endpoints[0], credential: credential)
            try await first.send([1])
            let second = try await OuroborosClient.connect(to: server.endpoints[0], credential: credential)
            try await second.send([2])
            #expect(collector.payloads == [[1], [2]])
            let statistics = try await server.statistics()
            #expect(statistics.devices == 1)
            #expect(statistics.sessions == 2)
            await first.closeAtOnce()
            await second.close()
        }
    }

    /// It says goodbye, or is removed.
    @Test(arguments: Way.allCases, [false, true])
    func aPlaceThatOneDeviceGivesBackIsAnothers(way: Way, isRemoved: Bool) async throws {
        let credentials = (1...2).map { Credential.fixed(device: DeviceID(number: $0), rootKey: .random()) }
        var configuration = ServerConfiguration()
        configuration.places = 2
        var careful = ClientConfiguration()
        careful.acknowledgement = .whenConfirmed
        let (small, never) = (configuration, careful)
        let registry = MemoryRegistry(credentials)
        try await withEchoServer(over: way, registry, configuration: small, echoes: false) { server, _ in
            let greedy = try await OuroborosClient.connect(
                to: server.endpoints[0], credential: credentials[0], configuration: never)
            let modest = try await OuroborosClient.connect(
                to: server.endpoints[0], credential: credentials[1])
            try await greedy.send([0])
            try await modest.send([0])
            for _ in 0..<2 {
                _ = server.post([1], to: credentials[0].deviceID)
            }
            let pending = server.post([2], to: credentials[1].deviceID)
            try await eventually("both places are taken") {
                try await server.statistics().placesUsed == 2
            }
            if isRemoved {
                registry.remove(credentials[0].deviceID)
                try await server.dropUnknownDevices()
            } else {
                await greedy.closeAtOnce()
            }
            let message = try await bounded("the other device's message arrives", by: .seconds(60)) {
                var messages = modest.messages.makeAsyncIterator()
                return await messages.next()
            }
            #expect(message?.payload == [2])
            try await pending.delivered()
            await modest.close()
            await greedy.closeAtOnce()
        }
    }

    @Test(arguments: Way.allCases) func theLongestSilentDeviceMakesRoom(way: Way) async throws {
        let credentials = (1...3).map { Credential.fixed(device: DeviceID(number: $0), rootKey: .random()) }
        var configuration = ServerConfiguration()
        configuration.maximumDevices = 2
        let small = configuration
        try await withEchoServer(over: way, MemoryRegistry(credentials), configuration: small) { server, _ in
            var connections: [OuroborosConnection] = []
            for credential in credentials {
                let connection = try await OuroborosClient.connect(
                    to: server.endpoints[0], credential: credential)
                try await connection.send([1])
                connections.append(connection)
            }
            let devices = try await server.statistics().devices
            #expect(devices == 2)
            let error = await #expect(throws: OuroborosError.self) {
                try await server.send([1], to: credentials[0].deviceID)
            }
            #expect(error?.code == .notConnected)
            for credential in credentials.dropFirst() {
                try await server.send([1], to: credential.deviceID, delivery: .unreliable)
            }
            for connection in connections {
                await connection.closeAtOnce()
            }
        }
    }
}
