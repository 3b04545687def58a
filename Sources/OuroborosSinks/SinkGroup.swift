import CoreMetrics
import Logging
import Ouroboros
import OuroborosStore

/// The sinks of one spool, each at its own pace.
package struct SinkGroup: Sendable {
    package let gate: SpoolGate
    private let runners: [SinkRunner]

    package static let descriptions = Array(SinkMetrics.descriptions) + Array(SpoolMetrics.descriptions)

    /// A sink that has had one batch for `slowAfter` counts as one that hangs, which is told.
    package init(
        _ sinks: [any Sink], spool: any SinkStore, limits: SpoolLimits, slowAfter: Duration = .seconds(60),
        metrics: any MetricsFactory, logger: Logger
    ) async throws {
        let gate = try await SpoolGate(
            spool: spool, sinks: sinks.map(\.name), limits: limits, metrics: SpoolMetrics(factory: metrics),
            logger: logger)
        let identity = try await spool.identity()
        self.gate = gate
        runners = sinks.map {
            SinkRunner(
                $0, spool: spool, gate: gate, identity: identity, slowAfter: slowAfter,
                metrics: SinkMetrics($0.name, factory: metrics), logger: logger)
        }
    }

    /// There is something new in the spool.
    package func ring() {
        for runner in runners {
            runner.ring()
        }
    }

    /// Until ``stop()``, or the task is cancelled. A sink that fails is started again, and the others go on.
    package func run() async {
        await withTaskGroup(of: Void.self) { others in
            for runner in runners {
                others.addTask { await runner.runBeside() }
            }
            await withDiscardingTaskGroup { group in
                for runner in runners {
                    group.addTask { await runner.run() }
                }
            }
            others.cancelAll()
        }
    }

    /// Throws while one of them has failed, or hangs.
    package func check() throws {
        for runner in runners {
            try runner.check()
        }
    }

    /// What is in the spool still goes out to sinks that take it; then ``run()`` returns.
    package func stop() {
        for runner in runners {
            runner.stop()
        }
    }

    package func updateMetrics() async throws {
        var failure: (any Error)?
        for runner in runners {
            do {
                try await runner.updateMetrics()
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
    }
}
