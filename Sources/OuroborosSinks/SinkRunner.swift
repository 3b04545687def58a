import CoreMetrics
import Logging
import Ouroboros
import OuroborosStore
import Synchronization

/// Brings a spool's messages to one sink, for as long as that takes. In a spool that gateways share one of them does so
/// at a time, and another takes its place.
final class SinkRunner: Sendable {
    let sink: any Sink
    private let spool: any SinkStore
    private let gate: SpoolGate
    private let identity: String
    private let metrics: SinkMetrics
    private let logger: Logger
    private let bell = Doorbell()
    private let isStopping = Mutex(false)

    /// How often it is tried to take the place of the gateway that runs the sink.
    private static let claimPeriod = Duration.seconds(1)
    /// Of messages that came to other gateways nobody tells.
    private static let pollPeriod = Duration.milliseconds(250)
    /// While the spool's file cannot be used.
    private static let busyPeriod = Duration.seconds(1)
    private static let longestPause = Duration.seconds(5)

    init(
        _ sink: any Sink, spool: any SinkStore, gate: SpoolGate, identity: String, metrics: SinkMetrics,
        logger: Logger
    ) {
        self.sink = sink
        self.spool = spool
        self.gate = gate
        self.identity = identity
        self.metrics = metrics
        var logger = logger
        logger[metadataKey: "sink"] = "\(sink.name)"
        self.logger = logger
    }

    /// There is something new in the spool.
    func ring() {
        bell.ring()
    }

    /// What is in a spool of the gateway's own still goes out, as long as the sink takes it; of a shared one, what is
    /// under way.
    func stop() {
        isStopping.withLock { $0 = true }
        bell.ring()
    }

    private var stops: Bool { isStopping.withLock(\.self) || Task.isCancelled }

    /// Until ``stop()``, or the task is cancelled: what was not delivered by then stays in the spool. It waits for a
    /// database that is away, and for a file that cannot be used now; it throws when the spool fails otherwise.
    func run() async throws {
        var backoff = Backoff.ofSinks
        var isTold = false
        while true {
            do {
                if let claim = try await spool.claim(sink.name) {
                    backoff.reset()
                    isTold = false
                    if spool.isShared {
                        logger.notice("this gateway runs the sink")
                    }
                    return try await bring(claim)
                }
                guard !stops else { return }
                await pause(Self.claimPeriod)
            } catch let error as OuroborosError where error.code.passes {
                guard !stops else { return }
                if !isTold {
                    isTold = true
                    logger.notice("the sink waits, and another gateway may run it: \(error.message)")
                }
                await pause(backoff.next(upTo: Self.longestPause))
            }
        }
    }

    private func bring(_ claim: any SinkClaim) async throws {
        var progress = SinkProgress(claim.start)
        while !Task.isCancelled {
            let messages = try await unlessBusy {
                try await spool.messages(after: progress.position, limit: sink.batchLimit)
            }
            // What was under way when the gateway ended goes out as the same batch.
            let first = messages?.filter { $0.id <= progress.batchEnd } ?? []
            let batch = first.isEmpty ? messages ?? [] : first
            guard let end = batch.last?.id, !(stops && spool.isShared) else {
                try await record(&progress, claim)
                if stops { return noteUnrecorded(progress) }
                await bell.wait(atMost: pollPeriod(isBusy: messages == nil || !progress.isRecorded))
                continue
            }
            if end != progress.batchEnd {
                try await unlessBusy { try await claim.beginBatch(through: end) }
                progress.begin(through: end)
            }
            guard try await isDelivered(SinkBatch(batch, key: "\(identity)-\(batch[0].id)-\(end)"), claim)
            else { return noteUnrecorded(progress) }
            metrics.delivered.increment(by: batch.count)
            progress.delivered(through: end)
            try await record(&progress, claim)
        }
    }

    /// How soon it looks again, if nobody rings before.
    private func pollPeriod(isBusy: Bool) -> Duration? {
        if spool.isShared { return Self.pollPeriod }
        return isBusy ? Self.busyPeriod : nil
    }

    /// Tells the spool what the sink has. While its file cannot be written that waits, and the sink does not.
    private func record(_ progress: inout SinkProgress, _ claim: any SinkClaim) async throws {
        guard !progress.isRecorded else { return }
        let (recorded, position) = (progress.recorded, progress.position)
        let isDone: Void? = try await unlessBusy {
            try await gate.passed(claim, from: recorded, through: position)
        }
        if isDone != nil {
            progress.record(through: position)
        }
    }

    private func noteUnrecorded(_ progress: SinkProgress) {
        if !progress.isRecorded {
            logger.warning("the spool cannot be written: what the sink has taken last comes again")
        }
    }

    /// Nil while the spool's file cannot be used.
    @discardableResult
    private func unlessBusy<Value>(_ body: () async throws -> Value) async throws -> Value? {
        do {
            return try await body()
        } catch let error as OuroborosError where error.code == .busy {
            logger.debug("the spool: \(error)")
            return nil
        }
    }

    /// Tries until the sink has taken it; false if that has to end.
    private func isDelivered(_ batch: SinkBatch, _ claim: any SinkClaim) async throws -> Bool {
        var backoff = Backoff.ofSinks
        var complaint: String?
        while true {
            do {
                try await sink.deliver(batch)
                if complaint != nil {
                    logger.notice("the sink takes messages again")
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
                        level: level, "the sink does not take messages, which wait in the spool: \(error)")
                }
                let least = (error as? SinkFailure)?.leastPause ?? .zero
                await pause(backoff.next(upTo: sink.longestPause, atLeast: least))
                guard !stops else { return false }
                metrics.retries.increment()
            }
            try await claim.check()
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
