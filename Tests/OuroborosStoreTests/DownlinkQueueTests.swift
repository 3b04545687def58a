import GRDB
import Ouroboros
import TestSupport
import Testing

@testable import OuroborosStore

@Suite struct DownlinkQueueTests {
    let scratch: Scratch
    let a = DeviceID(number: 1)
    let b = DeviceID(number: 2)

    init() throws {
        scratch = try Scratch()
    }

    private func queue(
        _ limits: DownlinkLimits = .init(), now: Int64 = 0
    ) throws -> DownlinkQueue {
        try DownlinkQueue(path: scratch.file("queue"), limits: limits, now: now)
    }

    private func add(_ text: String, _ queue: DownlinkQueue, for device: DeviceID? = nil) throws -> Int64 {
        try queue.add(Array(text.utf8), for: device ?? a, expiresAt: 100, now: 0).id
    }

    @Test func aMessagesLife() throws {
        let queue = try queue()
        let ids = [
            try add("1", queue), try add("2", queue), try add("3", queue), try add("x", queue, for: b),
        ]
        #expect(try queue.waitingDevices() == [a, b])
        #expect(try queue.take(for: a, limit: 2, now: 0).map(\.id) == [ids[0], ids[1]])
        #expect(try queue.take(for: a, limit: 2, now: 0).map(\.id) == [ids[2]])
        #expect(try queue.waitingDevices() == [b])
        try queue.giveBack(ids[1])
        #expect(try queue.take(for: a, limit: 2, now: 0).map(\.payload) == [Array("2".utf8)])
        #expect(try queue.pending(among: ids) == Set(ids))
        #expect(try queue.finish(ids[0], as: .delivered, reason: nil, now: 5))
        // The first fate counts.
        #expect(try !queue.finish(ids[0], as: .failed, reason: "late", now: 6))
        #expect(try queue.pending(among: ids + [99]) == Set(ids.dropFirst()))
        #expect(try queue.entry(ids[0])?.state == .delivered)
        #expect(try queue.entry(ids[0])?.payload == [])
        #expect(try queue.entry(99) == nil)
    }

    @Test func afterARestart() throws {
        var queue: DownlinkQueue? = try queue()
        let ids = try ["sent", "waits"].map { try add($0, #require(queue)) }
        _ = try queue?.take(for: a, limit: 1, now: 0)
        queue = nil
        let again = try self.queue(now: 7)
        #expect(try again.entry(ids[0])?.state == .unknown)
        #expect(try again.entry(ids[0])?.reason?.contains("may have arrived") == true)
        #expect(try again.entry(ids[1])?.state == .queued)
    }

    @Test func timeIsOver() throws {
        var limits = DownlinkLimits()
        limits.memory = 50
        let queue = try queue(limits)
        let (waits, sent) = (try add("waits", queue), try add("sent", queue, for: b))
        _ = try queue.take(for: b, limit: 1, now: 0)
        #expect(try queue.expire(now: 99) == [:])
        #expect(try queue.take(for: a, limit: 1, now: 100) == [])
        #expect(try queue.expire(now: 100) == [waits: .failed])
        #expect(try queue.entry(waits)?.state == .failed)
        #expect(try queue.entry(sent)?.state == .sending)
        #expect(try queue.expire(now: 149) == [:])
        #expect(try queue.entry(waits) != nil)
        _ = try queue.expire(now: 150)
        #expect(try queue.entry(waits) == nil)
    }

    @Test func theFirstToGrowOldIsKnown() throws {
        let queue = try queue()
        #expect(try queue.firstExpiry() == nil)
        for expiry in [300, 100, 200] as [Int64] {
            _ = try queue.add([1], for: expiry == 100 ? a : b, expiresAt: expiry, now: 0)
        }
        #expect(try queue.firstExpiry() == 100)
        // What is under way does not wait.
        _ = try queue.take(for: a, limit: 1, now: 0)
        #expect(try queue.firstExpiry() == 200)
        _ = try queue.expire(now: 250)
        #expect(try queue.firstExpiry() == 300)
    }

    /// However much waits: SQLite says which rows it goes through.
    @Test(arguments: [
        "SELECT MIN(expires_at) FROM message WHERE ended_at IS NULL AND state = 'queued'",
        """
        UPDATE message SET state = 'failed', ended_at = 1, payload = x'', reason = 'x'
        WHERE ended_at IS NULL AND state = 'queued' AND expires_at <= 1 RETURNING id
        """,
        "DELETE FROM message WHERE ended_at <= 1",
    ])
    func onlyWhatHasEndedIsTouched(sql: String) throws {
        _ = try queue()
        let plan = try DatabaseQueue(path: scratch.file("queue")).read { database in
            try Row.fetchAll(database, sql: "EXPLAIN QUERY PLAN \(sql)").map { $0["detail"] as String }
        }
        #expect(plan.allSatisfy { $0.hasPrefix("SEARCH") }, "\(plan)")
    }

    @Test func itIsBounded() throws {
        var limits = DownlinkLimits()
        limits.messages = 3
        limits.messagesPerDevice = 2
        limits.bytes = 20
        limits.bytesPerDevice = 12
        let queue = try queue(limits)
        func isRefused(_ text: String, _ device: DeviceID) throws -> Bool {
            do {
                _ = try add(text, queue, for: device)
                return false
            } catch let error as OuroborosError where error.code == .limit {
                return true
            }
        }
        #expect(try isRefused(String(repeating: "x", count: 13), a))
        #expect(try !isRefused("12345", a))
        #expect(try !isRefused("12345", a))
        #expect(try isRefused("", a))
        #expect(try isRefused("12345678901", b))
        #expect(try !isRefused("1", b))
        #expect(try isRefused("1", b))
        #expect(try queue.load() == SpoolLoad(messages: 3, bytes: 11))
        let taken = try queue.take(for: a, limit: 1, now: 0)
        #expect(try queue.finish(taken[0].id, as: .delivered, reason: nil, now: 0))
        #expect(try !isRefused("1", b))
    }

    @Test func anotherKindOfFileIsRefused() throws {
        _ = try Spool(path: scratch.file("queue"))
        #expect(throws: OuroborosError.self) { try queue() }
    }
}
