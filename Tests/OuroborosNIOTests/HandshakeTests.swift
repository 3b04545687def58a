import NIOCore
import Ouroboros
import OuroborosNIO
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(3))) struct HandshakeTests {
    private var impatient: ClientConfiguration {
        var configuration = ClientConfiguration()
        configuration.connectTimeout = .milliseconds(1500)
        return configuration
    }

    @Test(arguments: Way.allCases) func anotherKeyMeetsSilence(way: Way) async throws {
        let registry = MemoryRegistry(.fixed(device: device, rootKey: .random()))
        try await withEchoServer(over: way, registry) { server, _ in
            let error = await #expect(throws: OuroborosError.self) {
                try await OuroborosClient.connect(
                    to: server.endpoints[0], credential: .fixed(device: device, rootKey: .random()),
                    configuration: impatient)
            }
            #expect(error?.code == .unreachable)
            try await eventually("its HELLO is dropped") {
                try await server.statistics().drops == [.authentication: 1]
            }
            let pendingSessions = try await server.statistics().pendingSessions
            #expect(pendingSessions == 0)
        }
    }

    @Test(arguments: Way.allCases) func anUnknownDeviceMeetsSilence(way: Way) async throws {
        try await withEchoServer(over: way, MemoryRegistry([])) { server, _ in
            let error = await #expect(throws: OuroborosError.self) {
                try await OuroborosClient.connect(
                    to: server.endpoints[0], credential: .fixed(device: device, rootKey: .random()),
                    configuration: impatient)
            }
            #expect(error?.code == .unreachable)
            try await eventually("its HELLO is counted") {
                try await server.statistics().unknownDevices == 1
            }
        }
    }

    @Test(arguments: Way.allCases) func nobodyThereIsUnreachable(way: Way) async throws {
        let error = await #expect(throws: OuroborosError.self) {
            try await OuroborosClient.connect(
                to: way.at(.loopback(port: 9)), credential: .fixed(device: device, rootKey: .random()),
                configuration: impatient)
        }
        #expect(error?.code == .unreachable)
        #expect(error?.message.contains("127.0.0.1:9") == true)
    }

    @Test(arguments: Way.allCases) func connectingCanBeCancelled(way: Way) async throws {
        let task = Task {
            try await OuroborosClient.connect(
                to: way.at(.loopback(port: 9)), credential: .fixed(device: device, rootKey: .random()))
        }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
    }

    @Test func anEvolvingCredentialNeedsAStore() async throws {
        let error = await #expect(throws: OuroborosError.self) {
            try await OuroborosClient.connect(
                to: .loopback(port: 9), credential: .evolving(device: device, key: .random()))
        }
        #expect(error?.code == .invalidConfiguration)
    }

    @Test(arguments: Way.allCases) func anEvolvingCredentialGoesOnAcrossRestarts(way: Way) async throws {
        let root = Credential.evolving(device: device, key: .random())
        let registry = MemoryRegistry(root)
        let store = MemoryStore()
        for round in UInt64(1)...3 {
            // The server starts anew each time, as the client does.
            try await withEchoServer(over: way, registry) { server, collector in
                try await OuroborosClient.withConnection(
                    to: server.endpoints[0], credential: store.last ?? root, store: store
                ) { connection in
                    try await connection.send([UInt8(round)])
                    #expect(collector.payloads == [[UInt8(round)]])
                }
            }
            // The second is short after a short one until something is heard in it: that it is not is saved, too.
            #expect(store.epochs == Array([1, 2, 2, 3].prefix([1, 3, 4][Int(round) - 1])))
            let registered = try registry.credential(of: device)
            #expect(registered?.epoch == store.last?.epoch && registered?.key == store.last?.key)
        }
    }

    @Test(arguments: Way.allCases) func aStoreThatFailsEndsTheConnection(way: Way) async throws {
        let root = Credential.evolving(device: device, key: .random())
        let registry = MemoryRegistry(root)
        try await withEchoServer(over: way, registry) { server, collector in
            let error = await #expect(throws: OuroborosError.self) {
                try await OuroborosClient.connect(
                    to: server.endpoints[0], credential: root, store: MemoryStore(refuses: true))
            }
            #expect(error?.code == .storage)
            #expect(collector.count == 0)
        }
        #expect(try registry.credential(of: device) == root)
    }

    @Test(arguments: Way.allCases) func aRegistryThatFailsServesNobodyUntilItWorks(way: Way) async throws {
        let root = Credential.evolving(device: device, key: .random())
        let registry = MemoryRegistry(root)
        registry.refuse(true)
        let store = MemoryStore()
        var configuration = ClientConfiguration()
        configuration.link.firstTimeout = 100
        let impatient = configuration
        try await withEchoServer(over: way, registry) { server, collector in
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    try await OuroborosClient.withConnection(
                        to: server.endpoints[0], credential: root, store: store, configuration: impatient
                    ) { connection in
                        do {
                            try await connection.send([1])
                        } catch let error as OuroborosError where error.code == .unknown {
                            // Its session came to nothing: it is sent again in the next.
                            try await connection.send([1])
                        }
                    }
                }
                try await eventually("the registry fails") {
                    try await server.statistics().registryFailures > 0
                }
                #expect(collector.count == 0)
                registry.refuse(false)
                try await group.waitForAll()
            }
            #expect(collector.payloads == [[1]])
        }
    }

    @Test(arguments: Way.allCases) func aRemovedDeviceIsCutOff(way: Way) async throws {
        let credential = Credential.fixed(device: device, rootKey: .random())
        let registry = MemoryRegistry(credential)
        try await withEchoServer(over: way, registry) { server, _ in
            try await OuroborosClient.withConnection(to: server.endpoints[0], credential: credential) {
                connection in
                try await connection.send([1])
                registry.remove(device)
                try await server.dropUnknownDevices()
                let devices = try await server.statistics().devices
                #expect(devices == 0)
                await connection.closeAtOnce()
            }
        }
    }

    @Test(arguments: Way.allCases) func aPortInUseIsTold(way: Way) async throws {
        try await withEchoServer(over: way, MemoryRegistry([])) { server, _ in
            let error = await #expect(throws: OuroborosError.self) {
                try await OuroborosServer.bind(to: server.endpoints, registry: MemoryRegistry([]))
            }
            #expect(error?.code == .transport)
            #expect(error?.message.contains("in use") == true)
        }
    }
}
