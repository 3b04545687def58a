import CoreMetrics
import Logging
import Ouroboros
import OuroborosStore

/// The sinks of one spool, each at its own pace.
package struct SinkGroup: Sendable {
    package let gate: SpoolGate
    private let runners: [SinkRunner]

    package static let descriptions = Array(SinkMetrics.descriptions) + Array(SpoolMetrics.descriptions)

    package init(
        _ sinks: [any Sink], spool: any SinkStore, limits: SpoolLimits, metrics: any MetricsFactory,
        logger: Logger
    ) async throws {
        let gate = try await SpoolGate(
            spool: spool, sinks: sinks.map(\.name), limits: limits, metrics: SpoolMetrics(factory: metrics),
            logger: logger)
        let identity = try await spool.identity()
        self.gate = gate
        runners = sinks.map {
            SinkRunner(
                $0, spool: spool, gate: gate, identity: identity,
                metrics: SinkMetrics($0.name, factory: metrics), logger: logger)
        }
    }

    /// There is something new in the spool.
    package func ring() {
        for runner in runners {
            runner.ring()
        }
    }

    /// Until ``stop()``, or the task is cancelled.
    package func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { others in
            for runner in runners {
                others.addTask { await runner.sink.run() }
            }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for runner in runners {
                    group.addTask {
                        do {
                            try await runner.run()
                        } catch {
                            await runner.sink.close()
                            throw error
                        }
                        await runner.sink.close()
                    }
                }
                try await group.waitForAll()
            }
            others.cancelAll()
        }
    }

    /// What is in the spool still goes out to sinks that take it; then ``run()`` returns.
    package func stop() {
        for runner in runners {
            runner.stop()
        }
    }

    package func updateMetrics() async throws {
        for runner in runners {
            try await runner.updateMetrics()
        }
    }
}
