import NIOCore
import Ouroboros
import OuroborosNIO
import OuroborosTesting
import TestSupport
import Testing

/// Devices that were told to wait (BUSY) hear at once that there is room again. In virtual time, a step at a time.
@Suite(.timeLimit(.minutes(1))) struct BusyTests {
    private let credentials = (1...2).map {
        Credential.fixed(device: DeviceID(number: $0), rootKey: .random())
    }
    private let time = VirtualTime()

    private func step(_ what: String, atMost limit: Int = 20_000, until holds: () async throws -> Bool)
        async throws
    {
        for _ in 0..<limit {
            if try await holds() { return }
            await time.advance()
        }
        try #require(Bool(false), "not within \(limit) ms: \(what)")
    }

    private func busy(_ server: OuroborosServer) async throws -> UInt64 {
        try await server.statistics().links.drops[.busy] ?? 0
    }

    /// The queue of all is far smaller than what one device may have of it.
    @Test func whoWaitsHearsOfRoomThatAnotherDeviceGaveBack() async throws {
        let (credentials, time) = (credentials, time)
        var configuration = ServerConfiguration()
        configuration.queueCapacity = 4
        configuration.eventLoopGroup = time.eventLoopGroup
        var client = ClientConfiguration()
        client.eventLoopGroup = time.eventLoopGroup
        let (serverConfiguration, clientConfiguration) = (configuration, client)
        let gateway = try MemoryNetwork(seed: 1).endpoint(port: 5700)
        let (server, connections) = try await time.run {
            let server = try await OuroborosServer.bind(
                to: [gateway], registry: MemoryRegistry(credentials), configuration: serverConfiguration)
            var connections: [OuroborosConnection] = []
            var batches = server.batches.makeAsyncIterator()
            for credential in credentials {
                let connection = try await OuroborosClient.connect(
                    to: gateway, credential: credential, configuration: clientConfiguration)
                async let sent: Void = connection.send([0])
                await batches.next()?.confirm()
                try await sent
                connections.append(connection)
            }
            return (server, connections)
        }
        let greedy = Task { try await connections[0].sendEach(1...4) }
        try await step("the queue is full") { try await server.statistics().unconfirmed == 4 }
        var batches = server.batches.makeAsyncIterator()
        let batch = try #require(await batches.next())
        #expect(batch.messages.count == 4)
        // The first is on its way before the device is told.
        let modest = Task { try await connections[1].sendEach(5...6) }
        try await step("BUSY is said") { try await busy(server) > 0 }
        #expect(try await server.statistics().unconfirmed == 5)
        batch.confirm()
        // Left alone, the device waits for a second.
        try await step("the other device sends again", atMost: 500) {
            try await server.statistics().unconfirmed == 2
        }
        await batches.next()?.confirm()
        try await time.run {
            try await greedy.value
            try await modest.value
            for connection in connections {
                await connection.close()
            }
            await server.close()
        }
    }

    /// Each message takes the application a millisecond. However small its queue is, what found it full comes again once
    /// there is room, and not after a time-out.
    @Test(arguments: [1, 16]) func aSmallQueueIsNotSlow(devices: Int) async throws {
        let large = try await timeTaken(byQueue: 64, devices: devices)
        let small = try await timeTaken(byQueue: 4, devices: devices)
        #expect(small <= large * 2, "\(small) with a queue of 4, \(large) with one of 64")
    }

    /// Until 960 messages are delivered, of which each device sends five at once when its last five are.
    private func timeTaken(byQueue queue: Int, devices: Int) async throws -> Duration {
        let time = VirtualTime()
        var configuration = ServerConfiguration()
        configuration.queueCapacity = queue
        configuration.queuePerDevice = queue
        configuration.eventLoopGroup = time.eventLoopGroup
        var client = ClientConfiguration()
        client.eventLoopGroup = time.eventLoopGroup
        let (serverConfiguration, clientConfiguration) = (configuration, client)
        let credentials = (1...devices).map {
            Credential.fixed(device: DeviceID(number: UInt64($0)), rootKey: .random())
        }
        return try await time.run {
            let network = MemoryNetwork(seed: 1, impairment: .init(delay: .milliseconds(1)))
            let gateway = try network.endpoint(port: 5700)
            let server = try await OuroborosServer.bind(
                to: [gateway], registry: MemoryRegistry(credentials), configuration: serverConfiguration)
            return try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    for await batch in server.batches {
                        try await time.sleep(for: .milliseconds(batch.messages.count))
                        batch.confirm()
                    }
                }
                var connections: [OuroborosConnection] = []
                for credential in credentials {
                    connections.append(
                        try await OuroborosClient.connect(
                            to: gateway, credential: credential, configuration: clientConfiguration))
                }
                let start = time.elapsed
                try await withThrowingTaskGroup(of: Void.self) { senders in
                    for connection in connections {
                        senders.addTask {
                            for _ in 0..<192 / devices { try await connection.sendEach(1...5) }
                        }
                    }
                    try await senders.waitForAll()
                }
                let taken = time.elapsed - start
                for connection in connections {
                    await connection.close()
                }
                await server.close()
                try await group.waitForAll()
                return taken
            }
        }
    }
}

extension OuroborosConnection {
    fileprivate func sendEach(_ numbers: ClosedRange<UInt8>) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in numbers {
                group.addTask { try await self.send([number]) }
            }
            try await group.waitForAll()
        }
    }
}
