import Logging
import Ouroboros
import OuroborosStore
import Synchronization

/// Brings a spool's messages to one sink, for as long as that takes.
final class SinkRunner: Sendable {
    let sink: any Sink
    private let spool: Spool
    private let gate: SpoolGate
    private let identity: String
    private let metrics: SinkMetrics
    private let logger: Logger
    private let bell = Doorbell()
    private let isStopping = Mutex(false)

    init(
        _ sink: any Sink, spool: Spool, gate: SpoolGate, identity: String, metrics: SinkMetrics,
        logger: Logger
    ) {
        self.sink = sink
        self.spool = spool
        self.gate = gate
        self.identity = identity
        self.metrics = metrics
        self.logger = logger
    }

    /// There is something new in the spool.
    func ring() {
        bell.ring()
    }

    /// What is in the spool still goes out, as long as the sink takes it.
    func stop() {
        isStopping.withLock { $0 = true }
        bell.ring()
    }

    private var stops: Bool { isStopping.withLock(\.self) || Task.isCancelled }

    /// Until ``stop()``, or the task is cancelled: what was not delivered by then stays in the spool. It throws
    /// when the spool fails.
    func run() async throws {
        let start = try spool.register(sinks: [sink.name])[sink.name]
        var (position, unfinished) = (start?.position ?? 0, start?.batchEnd ?? 0)
        while !Task.isCancelled {
            let messages = try spool.messages(after: position, limit: sink.batchLimit)
            // What was under way when the gateway ended goes out as the same batch.
            let first = messages.filter { $0.id <= unfinished }
            let batch = first.isEmpty ? messages : first
            guard let end = batch.last?.id else {
                if stops { return }
                await bell.wait()
                continue
            }
            if end != unfinished {
                try spool.beginBatch(of: sink.name, through: end)
                unfinished = end
            }
            guard await isDelivered(SinkBatch(batch, key: "\(identity)-\(batch[0].id)-\(end)")) else {
                return
            }
            try await gate.passed(sink.name, through: end)
            metrics.delivered.increment(by: batch.count)
            position = end
        }
    }

    /// Tries until the sink has taken it; false if that has to end.
    private func isDelivered(_ batch: SinkBatch) async -> Bool {
        var backoff = Backoff(longest: sink.longestPause)
        var complaint: String?
        while true {
            do {
                try await sink.deliver(batch)
                if complaint != nil {
                    logger.notice("the sink takes messages again", metadata: ["sink": "\(sink.name)"])
                }
                return true
            } catch {
                metrics.failures.increment()
                guard !stops else { return false }
                // Once for each reason, and not for each try.
                if complaint != "\(error)" {
                    complaint = "\(error)"
                    let level: Logger.Level = (error as? SinkFailure)?.isRefusal == true ? .error : .warning
                    logger.log(
                        level: level, "the sink does not take messages, which wait in the spool: \(error)",
                        metadata: ["sink": "\(sink.name)"])
                }
                await pause(backoff.next(after: error as? SinkFailure))
                guard !stops else { return false }
                metrics.retries.increment()
            }
        }
    }

    private func pause(_ time: Duration) async {
        let end = ContinuousClock.now + time
        while ContinuousClock.now < end, !stops {
            try? await Task.sleep(for: .milliseconds(100))
        }
    }

    func updateMetrics() async throws {
        metrics.lag.set(try await gate.lag(of: sink.name))
    }
}
