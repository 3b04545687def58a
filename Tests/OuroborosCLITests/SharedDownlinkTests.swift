import Foundation
import LibC
import Ouroboros
import OuroborosNIO
import OuroborosPostgres
import OuroborosStore
import Subprocess
import TestSupport
import Testing

/// Messages to devices of gateways that share a registry: the device may be at any of them.
@Suite(.serialized, .timeLimit(.minutes(10))) struct SharedDownlinkTests {
    private static let device = FaultDevice(number: 0, hasOutbox: false).id
    private static let path = "\(device)/messages"

    /// Two gateways, and one who calls each.
    private struct Fleet {
        let scratch: Scratch
        let cluster: PostgresCluster
        let flags: [String]
        let gateways: [Victim]
        let ports: [String]
        let callers: [DownlinkCaller]

        init(_ cluster: PostgresCluster, _ more: String...) async throws {
            scratch = try Scratch()
            self.cluster = cluster
            flags = try DownlinkCaller.flags(queue: "registry", in: scratch) + more
            let fleet = try await FaultFleet(
                cluster, devices: [FaultDevice(number: 0, hasOutbox: false)], sinks: flags, gateways: 2,
                in: scratch)
            gateways = fleet.gateways
            ports = fleet.addresses.map { String($0.split(separator: ":")[1]) }
            callers = [try await DownlinkCaller(gateways[0]), try await DownlinkCaller(gateways[1])]
        }

        func connected(to port: String, _ body: (OuroborosConnection) async throws -> Void) async throws {
            try await scratch.connected(SharedDownlinkTests.device, to: port, body)
        }

        /// What stands in the database.
        func state(of id: Int) async throws -> DownlinkState? {
            let store = try PostgresStore(try cluster.location, keyEncryptionKey: nil)
            let queue = try await PostgresDownlink(store, gateway: 255, now: 0)
            return try await queue.entry(Int64(id))?.state
        }

        func end() async throws {
            for gateway in gateways {
                gateway.send(SIGTERM)
                #expect(try await gateway.ended() == .exited(0), "\(gateway.errors.all)")
            }
        }
    }

    private static func text(_ message: Message?) -> String? {
        message.map { String(decoding: $0.payload, as: UTF8.self) }
    }

    @Test func aMessageReachesItsDeviceWhicheverGatewayTakesIt() async throws {
        try await PostgresCluster.with { cluster in
            let fleet = try await Fleet(cluster, "--sleeping-after", "2s")
            // Nobody has the device: the message waits, and goes out at either gateway.
            for (caller, there) in [(0, 0), (0, 1), (1, 0)] {
                let early = try await fleet.callers[caller].call(Self.path, body: "early")
                #expect(early.status == 202)
                #expect(early.answer["state"] as? String == "queued")
                let id = try #require(early.answer["id"] as? Int)
                try await fleet.connected(to: fleet.ports[there]) { connection in
                    var messages = connection.messages.makeAsyncIterator()
                    #expect(Self.text(await messages.next()) == "early")
                    try await eventually("every gateway tells its fate") {
                        let fates = [
                            try await fleet.callers[0].state(of: id, at: Self.device),
                            try await fleet.callers[1].state(of: id, at: Self.device),
                        ]
                        return fates == ["delivered", "delivered"]
                    }
                }
            }
            try await fleet.connected(to: fleet.ports[1]) { connection in
                let texts = Lines()
                let reading = Task {
                    for await message in connection.messages {
                        texts.add(String(decoding: message.payload, as: UTF8.self))
                    }
                }
                // It is delivered while the caller of the other gateway waits, if the machine is quick enough.
                var count = 0
                try await eventually("a message is delivered at once", within: .seconds(60)) {
                    try await connection.send(Array("I am here".utf8))
                    count += 1
                    let now = try await fleet.callers[0].call(Self.path, body: "\(count)")
                    return now.status == 200 && now.answer["state"] as? String == "delivered"
                }
                // Asleep it gets nothing until it is heard.
                try await Task.sleep(for: .milliseconds(2200))
                let asleep = try await fleet.callers[0].call(Self.path, body: "sleepy")
                #expect(asleep.status == 202)
                // Its gateway has heard of it meanwhile, and leaves it.
                let id = try #require(asleep.answer["id"] as? Int)
                #expect(try await fleet.state(of: id) == .queued)
                #expect(!texts.all.contains("sleepy"))
                try await connection.send(Array("awake".utf8))
                try await eventually("it is delivered") { texts.all.contains("sleepy") }
                #expect(texts.all.sorted() == (1...count).map { "\($0)" }.sorted() + ["sleepy"])
                reading.cancel()
            }
            // Nobody is there within the time to live.
            let late = try await fleet.callers[1].call(Self.path + "?ttl=1", body: "late")
            let id = try #require(late.answer["id"] as? Int)
            try await eventually("it fails", within: .seconds(30)) {
                try await fleet.callers[0].state(of: id, at: Self.device) == "failed"
            }
            try await fleet.end()
        }
    }

    @Test func aGatewayThatIsKilledLeavesUnknownAndNothingIsSentTwice() async throws {
        try await PostgresCluster.with { cluster in
            let fleet = try await Fleet(cluster, "--downlink-wait", "3s")
            let way = try await StallingWay(to: fleet.ports[0], in: fleet.scratch)
            var texts: [String] = []
            var id = 0
            try await fleet.connected(to: way.port) { connection in
                try await connection.send(Array("I am here".utf8))
                way.stall()
                let sent = try await fleet.callers[1].call(Self.path, body: "once")
                #expect(sent.status == 202)
                id = try #require(sent.answer["id"] as? Int)
                try await eventually("it is under way") { try await fleet.state(of: id) == .sending }
                try await fleet.gateways[0].killed()
                way.goOn()
                for await message in connection.messages.prefix(1) {
                    texts.append(String(decoding: message.payload, as: UTF8.self))
                }
            }
            // Until that gateway is back nobody knows.
            #expect(try await fleet.callers[1].state(of: id, at: Self.device) == "queued")
            let again = try await FaultFleet.start(1, cluster, fleet.flags, in: fleet.scratch)
            try await eventually("it is unknown") {
                try await fleet.callers[1].state(of: id, at: Self.device) == "unknown"
            }
            // A message that comes after it is the next that the device gets.
            #expect(try await fleet.callers[1].call(Self.path, body: "after").status == 202)
            try await fleet.connected(to: fleet.ports[1]) { connection in
                for await message in connection.messages.prefix(1) {
                    texts.append(String(decoding: message.payload, as: UTF8.self))
                }
            }
            #expect(texts == ["once", "after"])
            #expect(try await fleet.callers[1].state(of: id, at: Self.device) == "unknown")
            try await way.end()
            for gateway in [again, fleet.gateways[1]] {
                gateway.send(SIGTERM)
                #expect(try await gateway.ended() == .exited(0), "\(gateway.errors.all)")
            }
        }
    }

    @Test func withoutItsDatabaseAGatewayTakesNothingAndWritesOutcomesLater() async throws {
        try await PostgresCluster.with { cluster in
            let fleet = try await Fleet(cluster, "--downlink-wait", "6s")
            let way = try await StallingWay(to: fleet.ports[1], in: fleet.scratch)
            try await fleet.connected(to: way.port) { connection in
                try await connection.send(Array("I am here".utf8))
                way.stall()
                // The second follows at once, as a device that is not heard for 5 s gets one at a time.
                let first = 1
                async let earlier = fleet.callers[0].call(Self.path, body: "earlier")
                try await eventually("it is under way") { try await fleet.state(of: first) == .sending }
                async let waiting = fleet.callers[1].call(Self.path, body: "under way")
                try await eventually("the other is, too") {
                    try await fleet.state(of: first + 1) == .sending
                }
                try await cluster.stop()
                let refused = try await fleet.callers[0].call(Self.path, body: "refused")
                #expect(refused.status == 503)
                #expect(refused.answer["state"] as? String == "failed")
                #expect((refused.answer["reason"] as? String ?? "").contains("cannot be reached"))
                #expect(
                    try await fleet.callers[0].call("\(Self.path)/\(first)", method: "GET").status == 503)
                // The device acknowledges both, which nobody can write.
                way.goOn()
                var texts: [String] = []
                for await message in connection.messages.prefix(2) {
                    texts.append(String(decoding: message.payload, as: UTF8.self))
                }
                #expect(texts.sorted() == ["earlier", "under way"])
                // Those who wait are told what is known.
                #expect(try await earlier.status == 202)
                #expect(try await waiting.status == 202)
                #expect(!fleet.gateways[0].isEnded && !fleet.gateways[1].isEnded)
                try await cluster.start()
                try await eventually("both outcomes are written", within: .seconds(30)) {
                    let fates = [
                        try? await fleet.callers[0].state(of: first, at: Self.device),
                        try? await fleet.callers[0].state(of: first + 1, at: Self.device),
                    ]
                    return fates == ["delivered", "delivered"]
                }
                try await connection.send(Array("I am here".utf8))
                let next = try await fleet.callers[0].call(Self.path, body: "next")
                #expect(next.status == 200 || next.status == 202)
                for await message in connection.messages.prefix(1) {
                    #expect(Self.text(message) == "next")
                }
            }
            try await way.end()
            try await fleet.end()
        }
    }

    @Test func overMQTTEachMessageIsOneGatewaysToQueue() async throws {
        try await PostgresCluster.with { cluster in
            let scratch = try Scratch()
            let broker = try Broker(in: scratch)
            try await broker.start()
            let fleet = try await Fleet(cluster, "--sink-mqtt", broker.url)
            for gateway in fleet.gateways {
                try await gateway.errors.first(containing: "connected to mqtt://")
            }
            let watcher = try await broker.watcher("-t", "answers", "-t", "ouroboros/+/up")
            try await fleet.connected(to: fleet.ports[1]) { connection in
                try await connection.send(Array("I am here".utf8))
                try await watcher.output.first(containing: "/up|")
                for number in 0..<10 {
                    try await broker.publish(
                        "\(number)", to: "ouroboros/\(Self.device)/down", "-D", "publish",
                        "response-topic", "answers")
                }
                var texts: [String] = []
                for await message in connection.messages.prefix(10) {
                    texts.append(String(decoding: message.payload, as: UTF8.self))
                }
                #expect(texts.sorted() == (0..<10).map { "\($0)" })
                try await eventually("all are delivered", within: .seconds(30)) {
                    let answers = watcher.output.all.filter { $0.hasPrefix("answers|") }
                    let delivered = objects(
                        answers.compactMap { $0.split(separator: "|").last.map(String.init) }
                    )
                    .filter { $0["state"] as? String == "delivered" }.compactMap { $0["id"] as? Int }
                    return Set(delivered).count == 10 && delivered.count == 10
                }
            }
            #expect(try await fleet.state(of: 11) == nil)
            try await fleet.end()
            try await watcher.killed()
            try await broker.stop()
        }
    }
}
