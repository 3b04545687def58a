import Foundation
import Ouroboros
import OuroborosPostgres
import OuroborosStore
import TestSupport
import Testing

/// The queue of messages to devices that gateways share, without the gateways.
@Suite(.serialized, .timeLimit(.minutes(6))) struct PostgresDownlinkTests {
    private static let a = DeviceID(number: 1)
    private static let b = DeviceID(number: 2)

    private static func queue(
        _ cluster: PostgresCluster, gateway: UInt8, _ limits: DownlinkLimits = .init(), now: Int64 = 0
    ) async throws -> PostgresDownlink {
        try await PostgresDownlink(
            PostgresStore(try cluster.location, keyEncryptionKey: nil), gateway: gateway, limits: limits,
            now: now)
    }

    private static func add(
        _ text: String, _ queue: PostgresDownlink, for device: DeviceID = a
    ) async throws -> Int64 {
        try await queue.add(Array(text.utf8), for: device, expiresAt: 100_000, now: 0).id
    }

    @Test func aMessagesLife() async throws {
        try await PostgresCluster.with { cluster in
            let first = try await Self.queue(cluster, gateway: 1)
            let second = try await Self.queue(cluster, gateway: 2)
            let ids = [
                try await Self.add("1", first), try await Self.add("2", second),
                try await Self.add("3", first), try await Self.add("x", first, for: Self.b),
            ]
            #expect(try await second.waitingDevices() == [Self.a, Self.b])
            #expect(try await first.load() == SpoolLoad(messages: 4, bytes: 4))
            let taken = try await first.take(for: Self.a, limit: 2, now: 0)
            #expect(taken.map(\.id) == [ids[0], ids[1]])
            #expect(taken.map(\.payload) == [Array("1".utf8), Array("2".utf8)])
            #expect(try await second.take(for: Self.a, limit: 2, now: 0).map(\.id) == [ids[2]])
            #expect(try await second.waitingDevices() == [Self.b])
            // What another gateway has is not this one's to give back or to finish.
            try await second.giveBack(ids[1])
            #expect(try await !second.finish(ids[1], as: .failed, reason: nil, now: 1))
            #expect(try await second.entry(ids[1])?.state == .sending)
            try await first.giveBack(ids[1])
            #expect(try await second.take(for: Self.a, limit: 2, now: 0).map(\.id) == [ids[1]])
            #expect(try await !first.finish(ids[1], as: .delivered, reason: nil, now: 1))

            #expect(try await first.finish(ids[0], as: .delivered, reason: nil, now: 5))
            // The first fate counts.
            #expect(try await !first.finish(ids[0], as: .failed, reason: "late", now: 6))
            let entry = try await second.entry(ids[0])
            #expect(entry?.state == .delivered && entry?.payload == [] && entry?.reason == nil)
            #expect(try await second.finish(ids[1], as: .failed, reason: "it’s late", now: 6))
            #expect(try await first.entry(ids[1])?.reason == "it’s late")
            #expect(try await first.pending(among: ids + [.max]) == [ids[2], ids[3]])
            #expect(try await first.entry(.max) == nil)
        }
    }

    @Test func twoThatTakeAtOnceTakeDifferentMessages() async throws {
        try await PostgresCluster.with { cluster in
            var ids: Set<Int64> = []
            let queues = [
                try await Self.queue(cluster, gateway: 1), try await Self.queue(cluster, gateway: 2),
            ]
            for number in 0..<90 {
                ids.insert(try await Self.add("\(number)", queues[number % 2]))
            }
            let taken = try await withThrowingTaskGroup(of: [Int64].self) { group in
                for task in 0..<4 {
                    group.addTask {
                        var taken: [Int64] = []
                        while true {
                            let entries = try await queues[task % 2].take(for: Self.a, limit: 3, now: 0)
                            if entries.isEmpty { return taken }
                            #expect(entries.count <= 3)
                            taken += entries.map(\.id)
                        }
                    }
                }
                return try await group.reduce(into: []) { $0 += $1 }
            }
            // Who found the next ones locked went away early: what is left is there for the next.
            let left = try await queues[0].take(for: Self.a, limit: 100, now: 0).map(\.id)
            #expect(taken.count + left.count == 90)
            #expect(Set(taken + left) == ids)
        }
    }

    @Test func limitsHoldForAllGateways() async throws {
        try await PostgresCluster.with { cluster in
            var limits = DownlinkLimits()
            limits.messages = 30
            limits.messagesPerDevice = 20
            limits.bytesPerDevice = 40
            let queues = [
                try await Self.queue(cluster, gateway: 1, limits),
                try await Self.queue(cluster, gateway: 2, limits),
            ]
            func added(_ count: Int, _ text: String, for device: DeviceID) async throws -> Int {
                try await withThrowingTaskGroup(of: Int.self) { group in
                    for number in 0..<count {
                        group.addTask {
                            do {
                                _ = try await Self.add(text, queues[number % 2], for: device)
                                return 1
                            } catch let error as OuroborosError where error.code == .limit {
                                return 0
                            }
                        }
                    }
                    return try await group.reduce(0, +)
                }
            }
            #expect(try await added(1, String(repeating: "x", count: 41), for: Self.a) == 0)
            #expect(try await added(40, "ab", for: Self.a) == 20)
            #expect(try await added(40, "c", for: Self.b) == 10)
            let taken = try await queues[1].take(for: Self.a, limit: 1, now: 0)
            #expect(try await added(1, "a", for: Self.a) == 0)
            #expect(try await queues[1].finish(taken[0].id, as: .delivered, reason: nil, now: 0))
            #expect(try await added(2, "a", for: Self.a) == 1)
        }
    }

    @Test func timeIsOver() async throws {
        try await PostgresCluster.with { cluster in
            var limits = DownlinkLimits()
            limits.memory = 1000
            let first = try await Self.queue(cluster, gateway: 1, limits)
            let second = try await Self.queue(cluster, gateway: 2, limits)
            let waits = try await Self.add("waits", first)
            let sent = try await Self.add("sent", first, for: Self.b)
            _ = try await first.take(for: Self.b, limit: 1, now: 0)
            #expect(try await second.expire(now: 99_999) == [:])
            #expect(try await second.take(for: Self.a, limit: 1, now: 100_000) == [])
            #expect(try await second.expire(now: 100_000) == [waits: .failed])
            // It may be that its outcome is on the way.
            #expect(try await second.expire(now: 100_999) == [:])
            #expect(try await second.entry(sent)?.state == .sending)
            #expect(try await second.entry(waits)?.state == .failed)
            #expect(try await second.expire(now: 101_000) == [:])
            #expect(try await second.entry(waits) == nil)
            #expect(try await second.expire(now: 160_000) == [sent: .unknown])
            #expect(try await !first.finish(sent, as: .delivered, reason: nil, now: 160_001))
            #expect(try await first.entry(sent)?.state == .unknown)
        }
    }

    @Test func aGatewayThatIsBackSettlesWhatItHadUnderWay() async throws {
        try await PostgresCluster.with { cluster in
            let first = try await Self.queue(cluster, gateway: 1)
            let second = try await Self.queue(cluster, gateway: 2)
            let ids = [
                try await Self.add("1", first), try await Self.add("2", first),
                try await Self.add("3", first),
            ]
            #expect(try await first.take(for: Self.a, limit: 1, now: 0).map(\.id) == [ids[0]])
            #expect(try await second.take(for: Self.a, limit: 1, now: 0).map(\.id) == [ids[1]])
            let again = try await Self.queue(cluster, gateway: 1, now: 7)
            #expect(try await again.entry(ids[0])?.state == .unknown)
            #expect(try await again.entry(ids[0])?.reason?.contains("may have arrived") == true)
            #expect(try await again.entry(ids[1])?.state == .sending)
            #expect(try await again.entry(ids[2])?.state == .queued)
            // The run before it can say nothing more, and give nothing back.
            #expect(try await !first.finish(ids[0], as: .delivered, reason: nil, now: 8))
            #expect(try await again.take(for: Self.a, limit: 9, now: 0).map(\.id) == [ids[2]])
        }
    }

    @Test func gatewaysHearOfEachOther() async throws {
        try await PostgresCluster.with { cluster in
            let first = try await Self.queue(cluster, gateway: 1)
            let second = try await Self.queue(cluster, gateway: 2)
            var notices = second.notices().makeAsyncIterator()
            #expect(await notices.next() == .missed)
            let id = try await Self.add("1", first)
            #expect(await notices.next() == .waits(Self.a))
            _ = try await first.take(for: Self.a, limit: 1, now: 0)
            try await first.giveBack(id)
            #expect(await notices.next() == .waits(Self.a))
            _ = try await first.take(for: Self.a, limit: 1, now: 0)
            _ = try await first.finish(id, as: .delivered, reason: nil, now: 1)
            #expect(await notices.next() == .settled(id))
            let old = try await Self.add("2", first)
            #expect(await notices.next() == .waits(Self.a))
            _ = try await first.expire(now: 100_000)
            #expect(await notices.next() == .settled(old))

            // The database crashes: what was told meanwhile is to be read, and nothing is queued twice.
            try await cluster.stop()
            await #expect(throws: OuroborosError.self) { try await first.entry(id) }
            try await cluster.start()
            #expect(await notices.next() == .missed)
            try await eventually("the database is there again") { (try? await first.load().messages) == 0 }
            // Connections that were idle have broken: it is tried once more, and queued once.
            try await cluster.stop()
            try await cluster.start()
            try await eventually("a message is queued") { (try? await Self.add("3", first)) != nil }
            #expect(try await first.load().messages == 1)
        }
    }

    /// While the database is away nobody knows more of it: to add says so, and the rest is away.
    @Test func theDatabaseIsAway() async throws {
        try await PostgresCluster.with { cluster in
            let queue = try await Self.queue(cluster, gateway: 1)
            let id = try await Self.add("1", queue)
            _ = try await queue.take(for: Self.a, limit: 1, now: 0)
            try await cluster.stop()
            let unknown = await #expect(throws: OuroborosError.self) { try await Self.add("2", queue) }
            #expect(unknown?.code == .unknown)
            let away = await #expect(throws: OuroborosError.self) {
                try await queue.finish(id, as: .delivered, reason: nil, now: 1)
            }
            #expect(away?.code == .unreachable)
            try await cluster.start()
            // The outcome is still its own to write.
            try await eventually("it is written") {
                (try? await queue.finish(id, as: .delivered, reason: nil, now: 1)) == true
            }
            #expect(try await queue.load().messages == 0)
        }
    }
}
