import CoreMetrics
import InMemoryLogging
import LibC
import Logging
import Ouroboros
import OuroborosStore
import TestSupport
import Testing

@testable import OuroborosSinks

@Suite(.timeLimit(.minutes(3))) struct RunnerTests {
    let scratch: Scratch
    let spool: Spool

    init() throws {
        scratch = try Scratch()
        spool = try Spool(path: scratch.file("spool"))
    }

    private let log = InMemoryLogHandler()

    private func group(_ sinks: [MemorySink], _ limits: SpoolLimits = .init()) async throws -> SinkGroup {
        let log = log
        return try await SinkGroup(
            sinks, spool: spool, limits: limits, metrics: NOOPMetricsHandler.instance,
            logger: Logger(label: "test") { _ in log })
    }

    /// Somebody waits at the gate.
    private func isFull() async throws {
        try await eventually("the spool is full") {
            log.entries.contains { $0.message.description.contains("the spool is full") }
        }
    }

    /// Runs the sinks until they have what is in the spool.
    private func drain(_ sinks: [MemorySink], _ limits: SpoolLimits = .init()) async throws {
        let group = try await group(sinks, limits)
        group.stop()
        await group.run()
    }

    @Test func eachSinkGetsEverythingInOrder() async throws {
        try spool.store((1...8).map(String.init))
        let (first, second) = (MemorySink("a"), MemorySink("b", batchLimit: 100))
        try await drain([first, second])
        #expect(first.taken == (1...8).map(String.init))
        #expect(first.keys.count == 3)
        #expect(second.taken == first.taken)
        #expect(try spool.register(sinks: ["a"])["a"]?.position == 8)
    }

    @Test func aRefusedBatchComesAgainUnderItsKey() async throws {
        try spool.store(["1", "2"])
        let sink = MemorySink(refusing: 3)
        let group = try await group([sink])
        async let running: Void = group.run()
        try await eventually("the batch comes again") { sink.keys.count >= 2 }
        // What comes meanwhile is another batch's.
        try spool.store(["3"])
        group.ring()
        try await eventually("all three are taken") { sink.taken.count >= 3 }
        group.stop()
        await running
        #expect(sink.taken == ["1", "2", "3"])
        #expect(Set(sink.keys.prefix(4)).count == 1)
        #expect(sink.keys.count == 5 && sink.keys[4] != sink.keys[0])
    }

    @Test func afterACrashTheSameBatchComesAgain() async throws {
        try spool.store(["1", "2"])
        let before = MemorySink(refusing: 1)
        // It is stopped while the sink refuses: as after a kill, the position has not moved.
        try await drain([before])
        #expect(before.taken == [])
        try spool.store(["3"])
        let after = MemorySink(batchLimit: 100)
        try await drain([after])
        #expect(after.keys.first == before.keys.first)
        #expect(after.state.withLock { $0.batches.map(\.messages.count) } == [2, 1])
        #expect(after.taken == ["1", "2", "3"])
    }

    @Test func whatAllHaveLeavesTheSpool() async throws {
        var limits = SpoolLimits()
        limits.kept = 2
        try spool.store((1...9).map(String.init))
        try await drain([MemorySink("a"), MemorySink("b", refusing: 1)], limits)
        #expect(try spool.messages().count == 9)
        try await drain([MemorySink("a"), MemorySink("b")], limits)
        #expect(try spool.messages().map(\.id) == [8, 9])
        // A sink that is not there any more keeps nothing.
        try spool.store(["10"])
        try await drain([MemorySink("a")], limits)
        #expect(try spool.messages().map(\.id) == [9, 10])
        // One that is new begins with what is there.
        let new = MemorySink("new")
        try await drain([MemorySink("a"), new], limits)
        #expect(new.taken == ["9", "10"])
    }

    @Test func aFullSpoolLetsNobodyInUntilItDrains() async throws {
        var limits = SpoolLimits()
        limits.messages = 4
        let sink = MemorySink(refusing: 1_000_000)
        let group = try await group([sink], limits)
        async let running: Void = group.run()
        let two = SpoolLoad(messages: 2, bytes: 2)
        for texts in [["1", "2"], ["3", "4"]] {
            #expect(try await group.gate.enter(two))
            try spool.store(texts)
            group.ring()
        }
        let entered = Flag()
        async let third = {
            let isLetIn = try await group.gate.enter(two)
            entered.set()
            return isLetIn
        }()
        try await isFull()
        let tries = sink.keys.count
        try await eventually("the sink refuses three times more") { sink.keys.count >= tries + 3 }
        #expect(!entered.isSet)
        sink.state.withLock { $0.refusals = 0 }
        #expect(try await third)
        // Of 4, 2 had to go for 2 to come: the first batch has 2 or 3, as the sink was quick or slow to look.
        #expect(sink.taken.count >= 2 && Set(sink.taken).isSubset(of: ["1", "2", "3", "4"]))
        group.stop()
        await running
    }

    @Test func whoDoesNotWaitGetsInWhileThereIsRoom() async throws {
        var limits = SpoolLimits()
        limits.messages = 4
        let gate = try await group([MemorySink()], limits).gate
        let four = SpoolLoad(messages: 4, bytes: 4)
        // An empty spool takes more than fits.
        #expect(try await gate.enter(SpoolLoad(messages: 9, bytes: 9)))
        await gate.left(out: SpoolLoad(messages: 9, bytes: 9))
        #expect(try await gate.enter(four))
        try spool.store(["1", "2", "3", "4"])
        async let waiting = gate.enter(four)
        try await isFull()
        await gate.stopWaiting()
        #expect(try await !waiting)
        #expect(try await !gate.enter(four))
        #expect(try spool.remove(through: 4) == 4)
        #expect(try await gate.enter(four))
    }

    @Test func whoIsCancelledWaitsNoMore() async throws {
        var limits = SpoolLimits()
        limits.messages = 1
        let gate = try await group([MemorySink()], limits).gate
        let one = SpoolLoad(messages: 1, bytes: 1)
        #expect(try await gate.enter(one))
        try spool.store(["1"])
        let waiting = Task { try await gate.enter(one) }
        try await isFull()
        waiting.cancel()
        await #expect(throws: CancellationError.self) {
            try await bounded("who was cancelled", by: .seconds(30)) { try await waiting.value }
        }
        // The next one is not in its way.
        #expect(try spool.remove(through: 1) == 1)
        #expect(try await gate.enter(one))
    }

    @Test func whoRemovesByHandMakesRoom() async throws {
        var limits = SpoolLimits()
        limits.messages = 2
        let gate = try await group([MemorySink()], limits).gate
        #expect(try await gate.enter(SpoolLoad(messages: 2, bytes: 2)))
        let last = try spool.store(["1", "2"])
        #expect(try spool.remove(through: last) == 2)
        #expect(try await gate.enter(SpoolLoad(messages: 2, bytes: 2)))
    }

    @Test func whileTheSpoolCannotBeWrittenTheSinkGoesOn() async throws {
        try spool.store((1...7).map(String.init))
        let sink = MemorySink(refusing: 1_000_000)
        let group = try await group([sink])
        async let running: Void = group.run()
        try await eventually("the sink is given a batch") { sink.keys.count >= 1 }
        let lock = try HeldLock(scratch.file("spool"))
        sink.state.withLock { $0.refusals = 0 }
        try await eventually("all seven are taken") { sink.taken.count >= 7 }
        #expect(try spool.position(of: sink.name) == 0)
        try lock.release()
        try await eventually("the spool knows") { try spool.position(of: sink.name) == 7 }
        try spool.store(["8"])
        group.ring()
        try await eventually("the eighth is taken") { sink.taken.count >= 8 }
        group.stop()
        await running
        #expect(sink.taken == (1...8).map(String.init))
    }

    @Test func aSinkBeginsWhileTheSpoolCannotBeWritten() async throws {
        try spool.store(["1", "2"])
        let sink = MemorySink()
        let group = try await group([sink])
        let lock = try HeldLock(scratch.file("spool"))
        async let running: Void = group.run()
        try await eventually("both are taken") { sink.taken == ["1", "2"] }
        try lock.release()
        group.stop()
        await running
        #expect(try spool.position(of: sink.name) == 2)
    }
}
