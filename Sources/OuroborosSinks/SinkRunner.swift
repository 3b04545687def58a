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
    /// database that is away, and throws when the spool fails otherwise.
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
            } catch let error as OuroborosError where error.code == .unreachable {
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
        var (position, unfinished) = (claim.start.position, claim.start.batchEnd)
        while !Task.isCancelled {
            let messages = try await spool.messages(after: position, limit: sink.batchLimit)
            // What was under way when the gateway ended goes out as the same batch.
            let first = messages.filter { $0.id <= unfinished }
            let batch = first.isEmpty ? messages : first
            guard let end = batch.last?.id, !(stops && spool.isShared) else {
                if stops { return }
                await bell.wait(atMost: spool.isShared ? Self.pollPeriod : nil)
                continue
            }
            if end != unfinished {
                try await claim.beginBatch(through: end)
                unfinished = end
            }
            guard try await isDelivered(SinkBatch(batch, key: "\(identity)-\(batch[0].id)-\(end)"), claim)
            else { return }
            try await gate.passed(claim, from: position, through: end)
            metrics.delivered.increment(by: batch.count)
            position = end
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
