import CoreMetrics
import InMemoryLogging
import LibC
import Logging
import Ouroboros
import OuroborosStore
import TestSupport
import Testing

@testable import OuroborosSinks

/// A sink whose work fails or ends is started again, with a word in the log, and the others go on.
@Suite(.timeLimit(.minutes(2))) struct RestartTests {
    let scratch: Scratch
    let spool: Spool
    private let log = InMemoryLogHandler()

    init() throws {
        scratch = try Scratch()
        spool = try Spool(path: scratch.file("spool"))
    }

    private func group(
        _ sinks: [any Sink],
        _ trouble: @escaping @Sendable (TroubledSpool.Call) async throws -> Void = { _ in }
    ) async throws -> SinkGroup {
        let log = log
        return try await SinkGroup(
            sinks, spool: TroubledSpool(spool: spool, trouble: trouble), limits: .init(),
            metrics: NOOPMetricsHandler.instance, logger: Logger(label: "test") { _ in log })
    }

    /// What the log says of a sink that was started again.
    private func told(_ sink: String) -> [String] {
        log.entries.filter { $0.metadata["sink"] == "\(sink)" }.map(\.message.description)
            .filter { $0.contains("is started again") }
    }

    @Test func aRunnerThatThrowsIsStartedAgain() async throws {
        try spool.store(["1", "2"])
        let failures = Locked(2)
        let (first, second) = (MemorySink("a"), MemorySink("b"))
        let group = try await group([first, second]) { call in
            guard call == .claim("a") else { return }
            try failures.withLock { failures in
                guard failures > 0 else { return }
                failures -= 1
                throw OuroborosError(.storage, "no such table")
            }
        }
        let running = Task { await group.run() }
        defer { running.cancel() }
        try await eventually("it is told") { told("a").count == 1 }
        let error = #expect(throws: OuroborosError.self) { try group.check() }
        #expect(error?.message.contains("the sink “a” has failed") == true, "\(String(describing: error))")
        try await eventually("the other one goes on") { second.taken == ["1", "2"] }
        try await eventually("it is started again") { first.taken == ["1", "2"] }
        // Once a minute, though it failed twice.
        #expect(told("a") == ["the sink has failed, and is started again: no such table"])
        #expect(told("b") == [])
        try await eventually("all is well") { (try? group.check()) != nil }
        group.stop()
        await running.value
    }

    /// Its connection, for example.
    @Test func whatASinkDoesBesideIsStartedAgainWhenItReturns() async throws {
        final class Brief: Sink {
            let name = "brief"
            let runs = Locked(0)

            func deliver(_ batch: SinkBatch) {}

            func run() async {
                let isLast = runs.withLock { runs in
                    runs += 1
                    return runs == 3
                }
                if isLast { await untilCancelled() }
            }
        }
        let sink = Brief()
        let group = try await group([sink])
        let running = Task { await group.run() }
        defer { running.cancel() }
        try await eventually("it runs for the third time") { sink.runs.withLock(\.self) == 3 }
        #expect(told("brief") == ["the sink has failed, and is started again: it has ended by itself"])
        group.stop()
        await running.value
        #expect(sink.runs.withLock(\.self) == 3)
    }

    @Test func oneThatHangsIsToldAndTheOthersGoOn() async throws {
        try spool.store(["1"])
        let hang = Hang()
        defer { hang.end() }
        let (stuck, other) = (LineSink(name: "stuck") { _ in hang.wait() }, MemorySink("other"))
        let log = log
        let group = try await SinkGroup(
            [stuck, other], spool: spool, limits: .init(), slowAfter: .milliseconds(100),
            metrics: NOOPMetricsHandler.instance, logger: Logger(label: "test") { _ in log })
        let running = Task { await group.run() }
        defer { running.cancel() }
        try await eventually("it is told") {
            log.entries.contains {
                $0.message.description.contains("the sink hangs") && $0.metadata["sink"] == "stuck"
            }
        }
        #expect(throws: OuroborosError.self) { try group.check() }
        try spool.store(["2"])
        group.ring()
        try await eventually("the other one goes on") { other.taken == ["1", "2"] }
        hang.end()
        try await eventually("all is well") { (try? group.check()) != nil }
        group.stop()
        await running.value
        #expect(try spool.position(of: "stuck") == 2)
    }

    @Test func oneThatFailsForGoodEndsWithTheGateway() async throws {
        try spool.store(["1"])
        let group = try await group([MemorySink()]) { call in
            if call == .messages { throw OuroborosError(.storage, "broken") }
        }
        let running = Task { await group.run() }
        defer { running.cancel() }
        try await eventually("it is told") { told("memory").count == 1 }
        group.stop()
        try await bounded("the end of the sinks", by: .seconds(30)) { await running.value }
    }
}
