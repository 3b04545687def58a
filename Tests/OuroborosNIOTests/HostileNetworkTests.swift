import NIOCore
import Ouroboros
import OuroborosNIO
import OuroborosTesting
import TestSupport
import Testing

/// Client and server over real sockets, with a proxy between them that impairs.
///
/// `OURO_SOAK` is how many seeds each path gets, with ten times the messages; `OURO_SEED` is the first of them.
@Suite(.serialized, .timeLimit(.minutes(setting("OURO_SOAK") == nil ? 6 : 180))) struct HostileNetworkTests {
    @Test(arguments: HostilePath.all) func eachMessageComesOnce(path: HostilePath) async throws {
        var path = path
        let soak = setting("OURO_SOAK")
        if soak != nil { path.messages *= 10 }
        let first = setting("OURO_SEED") ?? 1
        for seed in first..<first + (soak ?? 1) {
            path.judge(try await path.run(seed: seed), seed: seed)
        }
    }

    @Test func aMessageThatIsTooLongForThePathHoldsUpNoOther() async throws {
        let credential = Credential.fixed(device: device, rootKey: .random())
        try await withEchoServer(MemoryRegistry(credential), echoes: false) { server, collector in
            let narrow = ImpairmentProxy.Configuration(both: .init(mtu: 600))
            try await ImpairmentProxy.withProxy(to: server.localAddress, configuration: narrow) { proxy in
                var configuration = ClientConfiguration()
                configuration.link.firstTimeout = 50
                configuration.closeTimeout = .milliseconds(100)
                try await OuroborosClient.withConnection(
                    to: proxy.address, credential: credential, configuration: configuration
                ) { connection in
                    let long = try await connection.enqueue([UInt8](repeating: 1, count: 1000))
                    for number in UInt8(0)..<5 { try await connection.send([number]) }
                    #expect(collector.payloads == (0..<5).map { [$0] })
                    let counts = try await proxy.counts()
                    #expect(counts.toServer.tooLong > 0)
                    // It is told what became of it: sent, and not known to have arrived.
                    await connection.closeAtOnce()
                    let error = await #expect(throws: OuroborosError.self) { try await long.delivered() }
                    #expect(error?.code == .unknown)
                }
            }
        }
    }

    @Test func aSessionOutlivesEveryRebinding() async throws {
        let credential = Credential.fixed(device: device, rootKey: .random())
        try await withEchoServer(MemoryRegistry(credential)) { server, collector in
            try await ImpairmentProxy.withProxy(to: server.localAddress) { proxy in
                try await OuroborosClient.withConnection(to: proxy.address, credential: credential) {
                    connection in
                    var echoes = connection.messages.makeAsyncIterator()
                    for round in UInt8(0)..<10 {
                        try await connection.send([round])
                        #expect(await echoes.next()?.payload == [round])
                        try await proxy.rebind()
                    }
                }
                let counts = try await proxy.counts()
                #expect(counts.rebindings == 10)
            }
            #expect(collector.payloads == (0..<10).map { [$0] })
            let statistics = try await server.statistics()
            #expect(statistics.links.handshakes == 1)
        }
    }

    /// All of them begin at the same time; with one socket for all, or with one each.
    @Test(arguments: [true, false]) func aThousandClientsAtOnce(areSharingASocket: Bool) async throws {
        let credentials = (1...1000).map {
            Credential.fixed(device: DeviceID(number: $0), rootKey: .random())
        }
        try await withEchoServer(MemoryRegistry(credentials), echoes: false) { server, collector in
            let pool = try ConnectionPool()
            let address = server.localAddress
            let repeated = try await withThrowingTaskGroup { group in
                for credential in credentials {
                    group.addTask {
                        var repeated: Set<UInt8> = []
                        let connection =
                            areSharingASocket
                            ? try await pool.connect(to: address, credential: credential)
                            : try await OuroborosClient.connect(to: address, credential: credential)
                        for round in UInt8(0)..<3 {
                            do {
                                try await connection.send([round])
                            } catch let error as OuroborosError where error.code == .unknown {
                                // More wait for their first packet than the server holds: the session came to nothing, or
                                // it did not and the answer came too late.
                                repeated.insert(round)
                                try await connection.send([round])
                            }
                        }
                        await connection.close()
                        return (credential.deviceID, repeated)
                    }
                }
                return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
            }
            await pool.close()
            let received = Dictionary(grouping: collector.all, by: \.device)
            #expect(received.count == 1000)
            for (device, messages) in received {
                var expected = [[UInt8]]()
                for round in UInt8(0)..<3 {
                    expected.append([round])
                    let times = messages.count { $0.payload == [round] }
                    if times == 2 && repeated[device]?.contains(round) == true { expected.append([round]) }
                }
                #expect(messages.map(\.payload) == expected)
            }
        }
    }
}
