import Foundation
import LibC
import NIOCore
import Ouroboros
import OuroborosNIO
import Subprocess
import TestSupport
import Testing

/// A gateway whose PostgreSQL stops and comes back while devices are connected, over UDP and TCP.
@Suite(.serialized, .timeLimit(.minutes(8))) struct DatabaseAwayTests {
    /// A device in this process.
    private final class Device: CredentialStore {
        private let current: Locked<Credential>
        private let endpoint: Endpoint

        init(_ row: FaultDevice, rootKey: RootKey, at endpoint: Endpoint) throws {
            let id = try DeviceID(hex: row.id)
            current = Locked(
                row.hasOutbox ? .evolving(device: id, key: rootKey) : .fixed(device: id, rootKey: rootKey))
            self.endpoint = endpoint
        }

        func save(_ credential: Credential) throws { current.withLock { $0 = credential } }

        func connect() async throws -> OuroborosConnection {
            var configuration = ClientConfiguration()
            configuration.connectTimeout = .seconds(120)
            return try await OuroborosClient.connect(
                to: endpoint, credential: current.withLock(\.self), store: self, configuration: configuration)
        }
    }

    private final class Database: Sendable {
        private let isThere = Locked(true)
        var mayAnswer: Bool {
            get { isThere.withLock(\.self) }
            set { isThere.withLock { $0 = newValue } }
        }
    }

    /// What came that could not be answered: messages that were there already, and HELLOs.
    private func questions(_ gateway: Victim) async throws -> (messages: Double, hellos: Double) {
        (
            try await gateway.sample("ouroboros_drops_total{reason=\"duplicate\"}") ?? 0,
            try await gateway.sample("ouroboros_registry_failures_total") ?? 0
        )
    }

    @Test func sessionsGoOnAndNothingIsAcknowledgedThatIsNotStored() async throws {
        try await PostgresCluster.with { cluster in
            let scratch = try Scratch()
            // One of each kind of credential has a session before, one of each comes later.
            let rows = (0..<4).map { FaultDevice(number: $0, hasOutbox: $0 % 2 == 1) }
            let fleet = try await FaultFleet(
                cluster, devices: rows, sinks: ["--bind", "tcp://127.0.0.1:0", "--metrics", "127.0.0.1:0"],
                gateways: 1, in: scratch)
            let gateway = fleet.gateways[0]
            let rootKey = try RootKey(hex: Array(scratch.read("root.key").utf8))
            let udp = try await Endpoint(parsing: fleet.addresses[0])
            let tcp = try await Endpoint(
                parsing: "tcp://127.0.0.1:\(try await gateway.port(of: "(TCP)"))")
            let devices = try zip(rows, [udp, tcp, tcp, udp]).map {
                try Device($0, rootKey: rootKey, at: $1)
            }
            let database = Database()
            let old = try await [devices[0].connect(), devices[1].connect()]
            for connection in old { try await connection.send(Array("before".utf8)) }

            database.mayAnswer = false
            try await cluster.stop()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for connection in old {
                    group.addTask {
                        try await connection.send(Array("away".utf8))
                        #expect(database.mayAnswer, "acknowledged, and not stored")
                        #expect(try await connection.statistics().handshakes == 1)
                        await connection.close()
                    }
                }
                for device in devices[2...] {
                    group.addTask {
                        let connection = try await device.connect()
                        #expect(database.mayAnswer, "a HELLO was answered")
                        try await connection.send(Array("new".utf8))
                        await connection.close()
                    }
                }
                try await eventually("the gateway has the messages, and was asked by new devices") {
                    let messages = try await gateway.sample("ouroboros_messages_received_total")
                    let failures = try await gateway.sample("ouroboros_registry_failures_total")
                    return messages == 4 && failures ?? 0 >= 2
                }
                // Over UDP both ask again, and still there is no answer.
                let asked = try await questions(gateway)
                try await eventually("a message came again, and a HELLO") {
                    let now = try await questions(gateway)
                    return now.messages >= asked.messages + 1 && now.hellos >= asked.hellos + 1
                }
                database.mayAnswer = true
                try await cluster.start()
                try await group.waitForAll()
            }
            let spooled = try await Tool.run(["spool", "list", "--registry", cluster.url], in: scratch)
            let texts = objects(spooled.lines).compactMap { $0["text"] as? String }
            #expect(texts.sorted() == ["away", "away", "before", "before", "new", "new"])
            gateway.send(SIGTERM)
            #expect(try await gateway.ended() == .exited(0), "\(gateway.errors.all)")
        }
    }
}

extension Endpoint {
    fileprivate init(parsing name: String) async throws {
        self = try await EndpointName(parsing: name).resolve()
    }
}
