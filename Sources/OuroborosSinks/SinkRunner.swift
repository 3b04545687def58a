import CoreMetrics
import LibC
import Logging
import Ouroboros
import OuroborosStore

/// Brings a spool's messages to one sink, for as long as that takes. In a spool that gateways share one of them does so
/// at a time, and another takes its place.
final class SinkRunner: Sendable {
    let sink: any Sink
    private let spool: any SinkStore
    private let gate: SpoolGate
    private let identity: String
    private let metrics: SinkMetrics
    private let logger: Logger
    private let keeper: SinkKeeper
    private let bell = Doorbell()
    /// Ends a pause, which what is new does not.
    private let stopBell = Doorbell()
    private let isStopping = Locked(false)
    private let slowAfter: Duration
    /// When the sink was given the batch that is under way.
    private let givenAt = Locked<ContinuousClock.Instant?>(nil)

    /// How often it is tried to take the place of the gateway that runs the sink.
    private static let claimPeriod = Duration.seconds(1)
    /// Of messages that came to other gateways nobody tells: how soon it looks after some, and at rest.
    private static let pollPeriod = Duration.milliseconds(250)
    private static let longestPollPeriod = Duration.seconds(2)
    /// While the spool's file cannot be used.
    private static let busyPeriod = Duration.seconds(1)
    private static let longestPause = Duration.seconds(5)
    /// Of `ouroboros spool retry` nobody tells either; without a message that was refused there is nothing to retry.
    private static let retryPeriod = Duration.seconds(5)
    /// In a spool of the gateway's own, which rings.
    private static let restPeriod = Duration.seconds(60)
    /// What is new has its turn after them.
    private static let retriesAtOnce = 100

    init(
        _ sink: any Sink, spool: any SinkStore, gate: SpoolGate, identity: String, slowAfter: Duration,
        metrics: SinkMetrics, logger: Logger
    ) {
        self.sink = sink
        self.spool = spool
        self.gate = gate
        self.identity = identity
        self.slowAfter = slowAfter
        self.metrics = metrics
        var logger = logger
        logger[metadataKey: "sink"] = "\(sink.name)"
        self.logger = logger
        keeper = SinkKeeper(sink.name, logger: logger)
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
        stopBell.ring()
    }

    private var stops: Bool { isStopping.withLock(\.self) || Task.isCancelled }

    /// Throws while the sink's work has failed, and while it hangs.
    func check() throws {
        try keeper.check()
        guard let since = givenAt.withLock(\.self), .now - since > slowAfter else { return }
        throw OuroborosError(
            .busy, "the sink “\(sink.name)” takes nothing: it has had the same messages for \(slowAfter)")
    }

    /// Until ``stop()``, or the task is cancelled: what was not delivered by then stays in the spool.
    func run() async {
        await keeper.keep({ [self] in stops }) { try await work() }
        await sink.close()
    }

    /// What the sink does beside, until the task is cancelled.
    func runBeside() async {
        await keeper.keep({ false }) { await sink.run() }
    }

    /// It waits for a database that is away, and for a file that cannot be used now; it throws when the spool fails otherwise.
    private func work() async throws {
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
        var size = BatchSize(most: sink.batchLimit)
        var run = RefusalRun()
        var dead = deadLetters()
        var nextRetry = ContinuousClock.now
        var poll = Self.pollPeriod
        while !Task.isCancelled {
            if ContinuousClock.now >= nextRetry {
                nextRetry = .now + (try await retryDeadLetters(claim, &dead))
            }
            let page = try await unlessBusy {
                try await spool.page(after: progress.position, limit: size.now)
            }
            // What was under way when the gateway ended goes out as the same batch.
            let first = page?.through(progress.batchEnd)
            guard let batch = first?.end == nil ? page : first, let end = batch.end,
                !(stops && spool.isShared)
            else {
                try await record(&progress, claim)
                let isKnown = try await recordRetry(&dead, claim) && progress.isRecorded
                if stops { return noteUnrecorded(progress) }
                let pause = pause(isBusy: page == nil || !isKnown, poll)
                poll = min(poll * 2, Self.longestPollPeriod)
                await bell.wait(atMost: min(pause, max(.zero, nextRetry - .now)))
                continue
            }
            poll = Self.pollPeriod
            if end != progress.batchEnd {
                try await unlessBusy { try await claim.beginBatch(through: end) }
                progress.begin(through: end)
            }
            let messages = batch.messages
            switch try await outcome(of: batch, through: end, claim) {
            case .none: return noteUnrecorded(progress)
            case .tooLarge: size.refused(messages.count, isTooLarge: true)
            case .refused: size.refused(messages.count, isTooLarge: false)
            case .taken(let refused):
                let aside = refused.merging(batch.unreadable) { reason, _ in reason }
                if aside.isEmpty {
                    progress.delivered(through: end)
                    try await record(&progress, claim)
                } else {
                    guard try await setAside(aside, through: end, &progress, &dead, claim) else {
                        return noteUnrecorded(progress)
                    }
                    nextRetry = min(nextRetry, .now + Self.retryPeriod)
                }
                metrics.delivered.increment(by: messages.count - refused.count)
                if refused.count < messages.count {
                    run.taken()
                    size.taken()
                } else {
                    size.foundMessage()
                }
                dead.tell(messages, refused)
                dead.tell(unreadable: batch.unreadable)
                if refused.count == messages.count, let slow = run.refused(refused.count) {
                    if slow.isFirst { noteRun(run) }
                    await pause(slow.pause)
                }
            }
        }
    }

    // MARK: What the spool knows

    /// How soon it looks again, if nobody rings before.
    private func pause(isBusy: Bool, _ poll: Duration) -> Duration {
        if isBusy { return Self.busyPeriod }
        return spool.isShared ? poll : Self.restPeriod
    }

    /// Tells the spool what the sink has. While its file cannot be written that waits, and the sink does not.
    private func record(_ progress: inout SinkProgress, _ claim: any SinkClaim) async throws {
        guard !progress.isRecorded else { return }
        _ = try await pass(through: progress.position, refused: [:], &progress, claim)
    }

    private func pass(
        through id: Int64, refused: [Int64: String], _ progress: inout SinkProgress, _ claim: any SinkClaim
    ) async throws -> Bool {
        let recorded = progress.recorded
        let isDone: Void? = try await unlessBusy {
            try await gate.passed(claim, from: recorded, through: id, refused: refused)
        }
        guard isDone != nil else { return false }
        progress.record(through: id)
        return true
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

    private enum Outcome {
        /// It is to be given to the sink in parts.
        case tooLarge, refused
        /// All but those that are refused for good, with the reason.
        case taken(but: [Int64: String])
    }

    /// What cannot be read is given to nobody.
    private func outcome(
        of page: SpoolPage, through end: Int64, _ claim: any SinkClaim
    ) async throws -> Outcome? {
        guard let first = page.messages.first else { return .taken(but: [:]) }
        return try await outcome(
            of: SinkBatch(page.messages, key: "\(identity)-\(first.id)-\(end)"), claim)
    }

    /// Tries until it is known; nil if that has to end.
    private func outcome(of batch: SinkBatch, _ claim: any SinkClaim) async throws -> Outcome? {
        var backoff = Backoff.ofSinks
        var complaint: String?
        func noteTaken() {
            guard complaint != nil else { return }
            logger.notice("the sink takes messages again")
        }
        while true {
            do {
                try await give(batch)
                noteTaken()
                return .taken(but: [:])
            } catch {
                metrics.failures.increment()
                let failure = error as? SinkFailure
                switch failure?.outlook ?? .later {
                case .later, .afterRepair: break
                case .neverThese(let refused):
                    noteTaken()
                    return .taken(but: refused)
                case .smaller where batch.messages.count > 1: return .tooLarge
                case .never where batch.messages.count > 1: return .refused
                case .smaller, .never: return .taken(but: [batch.messages[0].id: "\(error)"])
                }
                guard !stops else { return nil }
                // Once for each reason, and not for each try.
                if complaint != "\(error)" {
                    complaint = "\(error)"
                    logger.log(
                        level: failure?.outlook == .afterRepair ? .error : .warning,
                        "the sink does not take messages, which wait in the spool: \(error)")
                }
                let least = failure?.leastPause ?? .zero
                await pause(backoff.next(upTo: sink.longestPause, atLeast: least))
                guard !stops else { return nil }
                metrics.retries.increment()
            }
            try await claim.check()
        }
    }

    /// A disk or a reader may hang, and says nothing itself.
    private func give(_ batch: SinkBatch) async throws {
        let alarm = Task { [logger, slowAfter] in
            try await Task.sleep(for: slowAfter)
            logger.warning(
                "the sink hangs: it has had the same messages for \(slowAfter); the others wait in the spool")
        }
        givenAt.withLock { $0 = .now }
        defer {
            alarm.cancel()
            givenAt.withLock { $0 = nil }
        }
        try await sink.deliver(batch)
    }

    // MARK: What is refused for good

    private func deadLetters() -> DeadLetters {
        DeadLetters(of: sink.name, in: spool, metrics: metrics, logger: logger)
    }

    /// Waits until they are set aside in the spool, which takes room there and a file that can be written: what is not
    /// recorded is not passed. False if that has to end.
    private func setAside(
        _ refused: [Int64: String], through end: Int64, _ progress: inout SinkProgress,
        _ dead: inout DeadLetters, _ claim: any SinkClaim
    ) async throws -> Bool {
        while true {
            // What came before waits for no room.
            try await record(&progress, claim)
            let limit = await gate.deadLimit
            let hasRoom = try await unlessBusy {
                try await dead.hasRoom(for: refused.count, atMost: limit)
            }
            if hasRoom == true, progress.isRecorded,
                try await pass(through: end, refused: refused, &progress, claim)
            {
                progress.delivered(through: end)
                return true
            }
            await pause(hasRoom == false ? Self.retryPeriod : Self.busyPeriod)
            guard !stops else { return false }
            try await claim.check()
        }
    }

    private func noteRun(_ run: RefusalRun) {
        logger.error(
            "the sink has refused \(run.length) messages one after the other, and gets the next ones slowly: is it set up right?"
        )
    }

    /// Each alone, under a key of its own: who remembers the old one may remember its refusal. Gives how soon there may be
    /// more.
    private func retryDeadLetters(
        _ claim: any SinkClaim, _ dead: inout DeadLetters
    ) async throws -> Duration {
        guard try await recordRetry(&dead, claim) else { return Self.retryPeriod }
        let letters = try await unlessBusy {
            try await spool.deadLetters(toRetryAt: sink.name, limit: Self.retriesAtOnce)
        }
        guard let letters else { return Self.retryPeriod }
        for letter in letters {
            let message = letter.message
            guard !stops else { return .zero }
            let key = "\(identity)-\(message.id)-\(message.id)-\(letter.retries)"
            guard case .taken(let refused) = try await outcome(of: SinkBatch([message], key: key), claim)
            else { return .zero }
            dead.tell([message], refused)
            metrics.delivered.increment(by: 1 - refused.count)
            dead.retried = (message.id, refused[message.id])
            guard try await recordRetry(&dead, claim) else { return Self.retryPeriod }
        }
        guard letters.count < Self.retriesAtOnce else { return .zero }
        let count = try await unlessBusy { try await spool.deadLetterCount(of: sink.name) }
        return count == 0 ? Self.restPeriod : Self.retryPeriod
    }

    /// False while the spool's file cannot be written: until it knows of one no other is tried again.
    private func recordRetry(_ dead: inout DeadLetters, _ claim: any SinkClaim) async throws -> Bool {
        guard let (id, reason) = dead.retried else { return true }
        guard try await unlessBusy({ try await claim.retried(id, refused: reason) }) != nil else {
            return false
        }
        dead.retried = nil
        return true
    }

    private func pause(_ time: Duration) async {
        let over = ContinuousClock.now + time
        while case let left = over - .now, left > .zero, !stops {
            await stopBell.wait(atMost: left)
        }
    }

    func updateMetrics() async throws {
        metrics.lag.set(try await gate.lag(of: sink.name))
        metrics.dead.set(try await spool.deadLetterCount(of: sink.name))
    }
}
