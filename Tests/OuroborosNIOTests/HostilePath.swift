import Foundation
import NIOCore
import Ouroboros
import OuroborosNIO
import OuroborosTesting
import TestSupport
import Testing

/// A path that does what it likes, and what is sent over it.
struct HostilePath: Sendable, CustomTestStringConvertible {
    let name: String
    var toServer: Impairment
    var toClient: Impairment
    var messages = 80
    var size = 64
    var host = "127.0.0.1"
    var rebindInterval: Duration?

    /// Alike in both directions.
    init(
        _ name: String, _ impairment: Impairment, messages: Int = 80, size: Int = 64,
        host: String = "127.0.0.1",
        rebindInterval: Duration? = nil
    ) {
        self.name = name
        (toServer, toClient) = (impairment, impairment)
        (self.messages, self.size, self.host) = (messages, size, host)
        self.rebindInterval = rebindInterval
    }

    var testDescription: String { name }

    static let all: [HostilePath] = [
        .init("quiet", .init(), messages: 500),
        .init("loss 10 %", .init(loss: 0.1)),
        .init("loss 30 %", .init(loss: 0.3), messages: 40),
        .init("delay 20 ms ± 10", .init(delay: .milliseconds(20), jitter: .milliseconds(10)), messages: 300),
        .init(
            "delay 200 ms ± 100", .init(delay: .milliseconds(200), jitter: .milliseconds(100)), messages: 60),
        .init("duplication 50 %", .init(duplication: 0.5), messages: 300),
        .init("reordering 30 %", .init(reordering: 0.3, holdBack: .milliseconds(30)), messages: 200),
        .init("corruption 10 %", .init(corruption: 0.1)),
        .init("256 kbit/s", .init(rate: 256_000, queue: 8192), messages: 60, size: 400),
        .init("MTU 1280, IPv4", .init(mtu: 1280), size: 1200),
        .init("MTU 1280, IPv6", .init(mtu: 1280), size: 1200, host: "::1"),
        .init(
            "a new port each 100 ms", .init(loss: 0.02, delay: .milliseconds(10)), messages: 300,
            rebindInterval: .milliseconds(100)),
        .init(
            "all at once",
            .init(
                loss: 0.1, duplication: 0.1, reordering: 0.1, holdBack: .milliseconds(20), corruption: 0.02,
                delay: .milliseconds(10), jitter: .milliseconds(5), rate: 2_000_000, mtu: 1280),
            rebindInterval: .milliseconds(200)),
    ]
}

/// What became of the messages of one run.
struct HostileOutcome {
    let received: [ReceivedMessage]
    /// Messages whose session ended under them, and that were sent again in the next.
    let unknown: Int
    let counts: ImpairmentProxy.Counts
    let statistics: ServerStatistics
}

extension HostilePath {
    private static func payload(_ number: Int, size: Int) -> [UInt8] {
        withUnsafeBytes(of: UInt32(number).bigEndian) { Array($0) }
            + [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: size - 4)
    }

    /// Sends everything through the proxy, eight messages at a time.
    func run(seed: UInt64) async throws -> HostileOutcome {
        let credential = Credential.fixed(device: device, rootKey: .random())
        var serverConfiguration = ServerConfiguration()
        serverConfiguration.link.firstTimeout = 100
        let server = try await OuroborosServer.bind(
            to: [.udp(try SocketAddress(ipAddress: host, port: 0))], registry: MemoryRegistry(credential),
            configuration: serverConfiguration)
        let collector = Collector()
        async let collected: Void = {
            for await batch in server.batches {
                collector.add(batch.messages)
                batch.confirm()
            }
        }()
        var configuration = ImpairmentProxy.Configuration(toServer: toServer, toClient: toClient)
        configuration.rebindInterval = rebindInterval
        configuration.seed = seed
        do {
            let (unknown, counts) = try await ImpairmentProxy.withProxy(
                to: server.endpoints[0].address, configuration: configuration
            ) { proxy in
                var clientConfiguration = ClientConfiguration()
                clientConfiguration.link.firstTimeout = 100
                clientConfiguration.closeTimeout = .seconds(1)
                let unknown = try await OuroborosClient.withConnection(
                    to: proxy.address, credential: credential, configuration: clientConfiguration
                ) { try await sendAll(over: $0) }
                return (unknown, try await proxy.counts())
            }
            let statistics = try await server.statistics()
            await server.close()
            await collected
            return HostileOutcome(
                received: collector.all, unknown: unknown, counts: counts, statistics: statistics)
        } catch {
            await server.close()
            throw error
        }
    }

    private func sendAll(over connection: OuroborosConnection) async throws -> Int {
        let senders = 8
        return try await withThrowingTaskGroup(of: Int.self) { group in
            for sender in 0..<senders {
                group.addTask {
                    var unknown = 0
                    for number in stride(from: sender, to: messages, by: senders) {
                        while try await !isDelivered(number, over: connection) {
                            unknown += 1
                        }
                    }
                    return unknown
                }
            }
            return try await group.reduce(0, +)
        }
    }

    /// False when its session ended under the message.
    private func isDelivered(_ number: Int, over connection: OuroborosConnection) async throws -> Bool {
        do {
            try await connection.send(Self.payload(number, size: size))
            return true
        } catch let error as OuroborosError where error.code == .unknown {
            return false
        }
    }

    /// Each message that was acknowledged was handed on, whole, and once a session.
    func judge(_ outcome: HostileOutcome, seed: UInt64) {
        let run: Comment =
            "\(name), OURO_SEED=\(seed), to server \(toServer), to client \(toClient), \(outcome.counts)"
        #expect(
            Set(outcome.received.map(\.payload)) == Set((0..<messages).map { Self.payload($0, size: size) }),
            run)
        let inSessions = outcome.received.map { "\($0.message.sessionID) \($0.payload)" }
        #expect(Set(inSessions).count == inSessions.count, run)
        #expect(outcome.received.count <= messages + outcome.unknown, run)
        // What the path was to do, it did.
        let ways = [(outcome.counts.toServer, toServer), (outcome.counts.toClient, toClient)]
        for (what, share) in [
            (\ImpairmentCounts.lost, \Impairment.loss), (\.repeated, \.duplication),
            (\.heldBack, \.reordering), (\.corrupted, \.corruption),
        ] {
            #expect(
                ways.contains { $0.0[keyPath: what] > 0 } == ways.contains { $0.1[keyPath: share] > 0 }, run)
        }
        #expect(ways.allSatisfy { $0.0.tooLong == 0 }, run)
        #expect((outcome.counts.rebindings > 0) == (rebindInterval != nil), run)
    }
}
