import Foundation
import HTTPTypes
import LibC
import Ouroboros
import OuroborosPostgres
import OuroborosStore
import TestSupport
import Testing

/// Sinks that gateways share: one gateway runs each, and another takes its place.
@Suite(.serialized, .timeLimit(.minutes(6))) struct SharedSinkTests {
    let scratch: Scratch

    init() throws {
        scratch = try Scratch()
    }

    private static func spool(_ cluster: PostgresCluster) throws -> PostgresMessages {
        PostgresMessages(try PostgresStore(try cluster.location, keyEncryptionKey: nil))
    }

    private static func away(_ body: () async throws -> Void) async {
        let error = await #expect(throws: OuroborosError.self) { try await body() }
        #expect(error?.code == .unreachable)
    }

    @Test func aClaimIsOneGatewaysUntilItsConnectionEnds() async throws {
        try await PostgresCluster.with { cluster in
            let (first, second) = (try Self.spool(cluster), try Self.spool(cluster))
            #expect(try await first.identity().count == 16)
            #expect(try await first.identity() == second.identity())
            let device = DeviceID(number: 1)
            let messages = (0..<UInt64(6)).map {
                (device, Message(sessionID: 1, counter: $0, payload: [1, 2, 3]))
            }
            _ = try await first.store(messages, now: 1)
            let last = try await second.lastID()
            #expect(try await second.load(after: last - 4, through: last - 1) == .init(messages: 3, bytes: 9))

            var claim = try await first.claim("mqtt")
            #expect(try await second.claim("mqtt") == nil)
            // Each sink has a lock of its own.
            let other = try await second.claim("http")
            #expect(other?.start == SinkState())
            try await claim?.beginBatch(through: last - 1)
            try await claim?.passed(from: 0, through: last - 3)
            await Self.away { try await claim?.passed(from: 0, through: last) }
            #expect(try await second.position(of: "mqtt") == last - 3)
            // Sinks of other gateways hold messages back too, until they are taken out.
            #expect(try await first.passed(byAll: ["mqtt"]) == 0)
            #expect(try await first.forget(sink: "http"))
            #expect(try await !first.forget(sink: "http"))
            #expect(try await first.passed(byAll: ["mqtt"]) == last - 3)
            await Self.away { try await other?.passed(from: 0, through: last) }

            // The connection ends, and the lock with it; what was under way is known.
            claim = nil
            var taken: (any SinkClaim)?
            try await eventually("it is let go of") {
                taken = try await second.claim("mqtt")
                return taken != nil
            }
            #expect(taken?.start.position == last - 3 && taken?.start.batchEnd == last - 1)

            // A crash of the database ends every claim.
            try await taken?.check()
            try await cluster.stop()
            try await cluster.start()
            await Self.away { try await taken?.check() }
            await Self.away { try await taken?.passed(from: last - 3, through: last) }
            try await eventually("it is claimed anew") { (try? await first.claim("mqtt")) != nil }
            #expect(try await first.position(of: "mqtt") == last - 3)
        }
    }

    @Test func whatASinkRefusesForGoodIsSetAside() async throws {
        try await PostgresCluster.with { cluster in
            let spool = try Self.spool(cluster)
            let position = OutboxPosition(box: 1, sequence: 2)
            _ = try await spool.store(
                (0..<UInt64(3)).map {
                    (
                        DeviceID(number: 1),
                        Message(
                            sessionID: 1, counter: $0, payload: [UInt8($0)],
                            position: $0 == 1 ? position : nil)
                    )
                }, now: 1)
            let (ids, claim) = (
                try await spool.messages(after: 0, limit: 3).map(\.id),
                try #require(try await spool.claim("http"))
            )
            // What another one has moved is not set aside.
            await Self.away { try await claim.passed(from: 7, through: ids[2], refused: [ids[0]: "400"]) }
            #expect(try await spool.deadLetters(after: nil, limit: 10) == [])
            try await claim.passed(from: 0, through: ids[2], refused: [ids[0]: "400", ids[1]: "422"])
            #expect(try await spool.position(of: "http") == ids[2])
            _ = try await spool.remove(through: ids[2])
            let letters = try await spool.deadLetters(after: nil, limit: 10)
            #expect(letters.map(\.reason) == ["400", "422"] && letters.map(\.message.id) == Array(ids[..<2]))
            #expect(letters[1].message.position == position && letters[1].message.payload == [1])
            #expect(try await spool.deadLetters(after: letters[0], limit: 10) == [letters[1]])
            #expect(try await spool.deadLetterCount(of: "http") == 2)
            #expect(try await spool.deadLetterCount(of: "mqtt") == 0)
            #expect(try await spool.retryDeadLetters(of: "mqtt", id: nil) == 0)
            #expect(try await spool.retryDeadLetters(of: nil, id: nil) == 2)
            #expect(
                try await spool.deadLetters(toRetryAt: "http", limit: 10).map(\.message.id)
                    == Array(ids[..<2]))
            try await claim.retried(ids[0], refused: nil)
            try await claim.retried(ids[1], refused: "410")
            #expect(try await spool.deadLetters(toRetryAt: "http", limit: 10) == [])
            let left = try await spool.deadLetters(after: nil, limit: 10)
            #expect(left.map(\.reason) == ["410"] && left.map(\.retries) == [1])
            #expect(try await spool.removeDeadLetters(through: ids[1]) == 1)
        }
    }

    @Test func aBatchKeepsItsKeyAtAnotherGatewayAndAFullSpoolMakesDevicesWait() async throws {
        try await PostgresCluster.with { cluster in
            let sender = FaultDevice(number: 0, hasOutbox: false, patience: "5s")
            let collector = Collector()
            collector.answer(then: .init(status: .serviceUnavailable, retryAfter: "0"))
            try await collector.serving { url in
                let fleet = try await FaultFleet(
                    cluster, devices: [sender],
                    sinks: [
                        "--sink-http", url, "--spool-messages", "10", "--queue-per-device", "2", "--metrics",
                        "127.0.0.1:0",
                    ], gateways: 2, in: scratch)
                try await eventually("one gateway runs the sink") { fleet.allClaims == 1 }
                let holder = try #require(fleet.gateways.indices.first { fleet.claims(of: $0) == 1 })
                let other = 1 - holder
                // What fits is acknowledged, and the rest waits for longer than the sender does.
                sender.go(to: holder)
                try await sender.send(60, to: fleet)
                try await fleet.gateways[holder].errors.first(containing: "the spool is full")
                // Of a new session's first four messages the queue takes two.
                try await eventually("BUSY is said") {
                    let name = "ouroboros_drops_total{reason=\"busy\"}"
                    if try await fleet.gateways[holder].sample(name) ?? 0 > 0 { return true }
                    sender.go(to: holder)
                    try await sender.send(8, to: fleet)
                    return false
                }
                #expect((1...10).contains(sender.acknowledged.count))
                let keys = { Set(collector.requests.compactMap { $0.headers["idempotency-key"] }) }
                try await eventually("the batch is sent") { !keys().isEmpty }
                let key = try #require(keys().first)
                #expect(keys().count == 1)
                try await fleet.gateways[holder].killed()
                let before = collector.requests.count
                try await eventually("the other gateway sends the batch") {
                    fleet.claims(of: other) == 1 && collector.requests.count > before
                }
                #expect(keys() == [key])
                #expect(Set(collector.requests.map(\.lines)).count == 1)
                // The sender goes to the other gateway, which has counted what lies there.
                sender.go(to: other)
                try await sender.send(60, to: fleet)
                #expect(sender.acknowledged.count <= 10)
                try await fleet.gateways[other].errors.first(containing: "the spool is full")
                collector.answer()
                try await eventually("there is room again") {
                    sender.go(to: other)
                    return try await sender.send(20, to: fleet).count == 20
                }
                try await eventually("all that was acknowledged arrives") {
                    sender.acknowledged.isSubset(of: collector.texts)
                }
                // A gateway without its database can be ended.
                try await cluster.stop()
                fleet.gateways[other].send(SIGTERM)
                try await fleet.gateways[other].ended()
            }
        }
    }
}
