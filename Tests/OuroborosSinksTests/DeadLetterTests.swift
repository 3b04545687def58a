import CoreMetrics
import InMemoryLogging
import LibC
import Logging
import Ouroboros
import OuroborosStore
import TestSupport
import Testing

@testable import OuroborosSinks

/// One message that is refused for good does not stop the others.
@Suite(.timeLimit(.minutes(3))) struct DeadLetterTests {
    let scratch: Scratch
    let spool: Spool
    private let log = InMemoryLogHandler()

    init() throws {
        scratch = try Scratch()
        spool = try Spool(path: scratch.file("spool"))
    }

    private func group(_ sinks: [MemorySink], _ limits: SpoolLimits = .init()) async throws -> SinkGroup {
        let log = log
        return try await SinkGroup(
            sinks, spool: spool, limits: limits, metrics: NOOPMetricsHandler.instance,
            logger: Logger(label: "test") { _ in log })
    }

    /// Runs the sink until it has what is in the spool.
    private func drain(_ sink: MemorySink) async throws {
        let group = try await group([sink])
        group.stop()
        await group.run()
    }

    private func isLogged(_ words: String) -> Int {
        log.entries.count { $0.message.description.contains(words) }
    }

    /// Refuses what contains “bad”.
    private static func refusesBad(_ batch: SinkBatch) -> SinkFailure? {
        batch.texts.contains { $0.hasPrefix("bad") } ? SinkFailure("it answers 400", .never) : nil
    }

    @Test(arguments: [["bad 1"], ["bad 1", "bad 2", "bad 3"], ["bad 1", "", "bad 2"]])
    func theBadOnesOfABatchAreFoundAndSetAside(bad: [String]) async throws {
        let good = (1...100).map(String.init)
        for place in [0, 50, 100] {
            let spool = try Spool(path: scratch.file("spool \(place)"))
            try spool.store(good[..<place] + bad + good[place...])
            let sink = MemorySink(batchLimit: 500, answer: Self.refusesBad)
            let log = log
            let group = try await SinkGroup(
                [sink], spool: spool, limits: .init(), metrics: NOOPMetricsHandler.instance,
                logger: Logger(label: "test") { _ in log })
            group.stop()
            await group.run()
            let (dead, others) = (bad.filter { !$0.isEmpty }, bad.filter(\.isEmpty))
            #expect(sink.taken == good[..<place] + others + good[place...])
            let letters = try spool.deadLetters()
            #expect(letters.map { String(decoding: $0.message.payload, as: UTF8.self) } == dead)
            #expect(letters.allSatisfy { $0.sink == "memory" && $0.reason == "it answers 400" })
            #expect(try spool.position(of: "memory") == spool.lastID())
            // Each is found in few steps.
            #expect(sink.keys.count <= 30 * dead.count, "place \(place)")
        }
        let warnings = log.entries.filter { $0.message.description.contains("ouroboros spool list --dead") }
        // Of one device once a minute, and each run is a new one.
        #expect(warnings.count == 3)
        #expect(warnings.allSatisfy { $0.level == .warning && "\($0.message)".contains("it answers 400") })
        #expect(warnings[0].metadata["device"] == "\(DeviceID(number: 1))")
        #expect(warnings[0].metadata["sink"] == "memory")
    }

    @Test(arguments: [1, 3, 100])
    func whatCannotBeReadIsSetAsideAndTheOthersGoOn(batchLimit: Int) async throws {
        try spool.store((1...9).map(String.init))
        try OtherProgram.change(
            scratch.file("spool"),
            [
                "UPDATE message SET counter = -1 WHERE id IN (1, 4, 5, 6, 7)",
                "UPDATE message SET session = 4294967296 WHERE id = 9",
            ])
        let sink = MemorySink(batchLimit: batchLimit)
        try await drain(sink)
        #expect(sink.taken == ["2", "3", "8"])
        #expect(try spool.position(of: "memory") == 9)
        #expect(try spool.deadLetterCount(of: "memory") == 6)
        #expect(isLogged("“counter” of a row of the table “message” is out of range") >= 1)
        // One that somebody has mended can be tried again.
        try OtherProgram.change(
            scratch.file("spool"), ["UPDATE dead_letter SET counter = 4 WHERE id = 5"])
        #expect(try spool.deadLetters().map(\.message.id) == [5])
    }

    @Test func whatIsTooMuchAtOnceGoesInParts() async throws {
        let texts = (1...500).map(String.init)
        try spool.store(texts)
        let sink = MemorySink(batchLimit: 500) {
            $0.messages.count > 70 ? SinkFailure("it answers 413", .smaller) : nil
        }
        try await drain(sink)
        #expect(sink.taken == texts)
        #expect(try spool.deadLetters() == [])
        // 500, 250 and 125 are too many; of 62 there are nine.
        #expect(sink.keys.count == 12)
        // What is taken again has the key that it had.
        #expect(Set(sink.keys).count == 12)
    }

    @Test func whatIsTooMuchAloneIsSetAside() async throws {
        try spool.store(["1", "large", "2"])
        try await drain(
            MemorySink { $0.texts.contains("large") ? SinkFailure("it answers 413", .smaller) : nil })
        #expect(try spool.deadLetters().map(\.message.id) == [2])
        #expect(try spool.position(of: "memory") == 3)
    }

    @Test func whatASinkNamesIsSetAsideAtOnce() async throws {
        try spool.store(["1", "2", "3"])
        let sink = MemorySink { batch in
            batch.messages.count == 3 ? SinkFailure("too large", .neverThese([2: "too large"])) : nil
        }
        try await drain(sink)
        #expect(sink.keys.count == 1)
        #expect(try spool.deadLetters().map(\.message.id) == [2])
        #expect(try spool.position(of: "memory") == 3)
    }

    @Test func itComesAgainWhenSomebodyAsks() async throws {
        try spool.store(["1", "bad", "bad", "2"])
        let isMended = Flag()
        let sink = MemorySink(batchLimit: 1) { isMended.isSet ? nil : Self.refusesBad($0) }
        try await drain(sink)
        #expect(try spool.retryDeadLetters(of: "another", id: nil) == 0)
        #expect(try spool.retryDeadLetters(of: "memory", id: 3) == 1)
        #expect(try spool.deadLetters(toRetryAt: "memory", limit: 10).map(\.message.id) == [3])
        let group = try await group([sink])
        async let running: Void = group.run()
        // It is refused again, and waits for somebody again.
        try await eventually("it is tried again") {
            try spool.deadLetters(toRetryAt: "memory", limit: 10).isEmpty
        }
        #expect(try spool.deadLetters().map(\.retries) == [0, 1])
        isMended.set()
        #expect(try spool.retryDeadLetters(of: nil, id: nil) == 2)
        try await eventually("both are taken") { try spool.deadLetters().isEmpty }
        #expect(sink.taken == ["1", "2", "bad", "bad"])
        // Each try that somebody asks for has a key of its own.
        #expect(Set(sink.keys).count == sink.keys.count)
        group.stop()
        await running
    }

    @Test func withoutRoomTheSinkWaits() async throws {
        try spool.store(["bad 1", "bad 2", "after"])
        var limits = SpoolLimits()
        limits.dead = 1
        let sink = MemorySink(batchLimit: 1, answer: Self.refusesBad)
        let group = try await group([sink], limits)
        async let running: Void = group.run()
        try await eventually("it waits") { isLogged("more messages than are kept (1)") == 1 }
        #expect(try spool.position(of: "memory") == 1)
        #expect(try spool.removeDeadLetters(through: 1) == 1)
        try await eventually("it goes on") { sink.taken == ["after"] }
        #expect(try spool.deadLetters().map(\.message.id) == [2])
        group.stop()
        await running
    }

    @Test func whatIsRefusedWaitsWhileTheSpoolCannotBeWritten() async throws {
        try spool.store(["1", "2", "bad", "3"])
        let sink = MemorySink(refusing: 1_000_000, batchLimit: 1, answer: Self.refusesBad)
        let group = try await group([sink])
        async let running: Void = group.run()
        try await eventually("the sink is given a batch") { sink.keys.count >= 1 }
        let lock = try HeldLock(scratch.file("spool"))
        sink.state.withLock { $0.refusals = 0 }
        try await eventually("the bad one is refused") {
            sink.state.withLock { $0.batches.last?.texts == ["bad"] }
        }
        let given = sink.keys.count
        // Longer than it waits between two tries.
        try await Task.sleep(for: .seconds(4))
        #expect(sink.keys.count == given && sink.taken == ["1", "2"])
        #expect(try spool.position(of: "memory") == 0)
        try lock.release()
        try await eventually("the next one is taken") { sink.taken == ["1", "2", "3"] }
        try await eventually("the spool knows") { try spool.position(of: "memory") == 4 }
        #expect(try spool.deadLetters().map(\.message.id) == [3])
        // It was asked once.
        #expect(sink.state.withLock { $0.batches.count { $0.texts == ["bad"] } } == 1)
        group.stop()
        await running
    }

    @Test func whatIsTriedAgainWhileTheSpoolCannotBeWrittenGoesOutOnce() async throws {
        try spool.store(["bad", "bad"])
        let isMended = Flag()
        let sink = MemorySink(batchLimit: 1) { isMended.isSet ? nil : Self.refusesBad($0) }
        try await drain(sink)
        isMended.set()
        #expect(try spool.retryDeadLetters(of: nil, id: nil) == 2)
        let group = try await group([sink])
        let lock = try HeldLock(scratch.file("spool"))
        async let running: Void = group.run()
        try await eventually("the first is taken") { sink.taken == ["bad"] }
        // Longer than the period of retries.
        try await Task.sleep(for: .seconds(8))
        #expect(sink.taken == ["bad"])
        try lock.release()
        try await eventually("both are taken, once") { try spool.deadLetters().isEmpty }
        #expect(sink.taken == ["bad", "bad"])
        group.stop()
        await running
    }

    @Test func aSinkThatRefusesEverythingGetsItSlowly() async throws {
        try spool.store((1...300).map { "bad \($0)" })
        let sink = MemorySink(batchLimit: 500, answer: Self.refusesBad)
        let group = try await group([sink])
        async let running: Void = group.run()
        try await eventually("it is told") { isLogged("one after the other") == 1 }
        let count = try spool.deadLetterCount(of: "memory")
        #expect((101...110).contains(count), "\(count)")
        group.stop()
        await running
    }
}

@Suite struct RefusalTests {
    @Test func batchesShrinkAndGrow() {
        var size = BatchSize(most: 500)
        size.refused(500, isTooLarge: false)
        #expect(size.now == 250)
        size.taken()
        #expect(size.now == 500)
        size.refused(1, isTooLarge: false)
        #expect(size.now == 1)
    }

    @Test func aSizeThatWasTooLargeIsTriedAgainLater() {
        var size = BatchSize(most: 500)
        size.refused(500, isTooLarge: true)
        for _ in 1..<32 {
            size.taken()
            #expect(size.now == 250)
        }
        size.taken()
        #expect(size.now == 500)
        size.refused(500, isTooLarge: true)
        // It was one message.
        size.foundMessage()
        size.taken()
        #expect(size.now == 500)
    }

    @Test func aLongRunGoesSlowly() {
        var run = RefusalRun()
        let none = run.refused(100)
        #expect(none == nil)
        let first = run.refused(1)
        #expect(first?.isFirst == true)
        let second = run.refused(1)
        #expect(second?.isFirst == false)
        #expect(second.map { $0.pause >= .seconds(1) && $0.pause <= .seconds(1.5) } == true)
        run.taken()
        let again = run.refused(100)
        #expect(again == nil)
    }

    @Test func aDeviceIsToldOfOnceAMinute() {
        var told = ToldDevices()
        let now = ContinuousClock.now
        let steps: [(UInt64, Int, Bool)] = [(1, 0, true), (2, 0, true), (1, 59, false), (1, 60, true)]
        for (device, second, expected) in steps {
            let isDue = told.isDue(DeviceID(number: device), at: now + .seconds(second))
            #expect(isDue == expected, "device \(device) at \(second) s")
        }
    }

    @Test func whatAConnectionMakesOfManyAnswers() throws {
        let publications = (1...3).map { MQTTPublication(topic: "t", payload: [], id: $0) }
        let never = Result<Void, any Error>.failure(SinkFailure("too large", .never))
        try MQTTPublication.check([.success(()), .success(()), .success(())], of: publications)
        let refused = #expect(throws: SinkFailure.self) {
            try MQTTPublication.check([.success(()), never, .success(())], of: publications)
        }
        #expect(refused?.outlook == .neverThese([2: "too large"]))
        // Not all others are there: the batch comes again.
        let later = #expect(throws: SinkFailure.self) {
            try MQTTPublication.check([.failure(SinkFailure("gone")), never, .success(())], of: publications)
        }
        #expect(later?.outlook == .later)
    }
}
