import LibC
import Logging
import Ouroboros
import OuroborosStore

/// How much of a spool its sinks may leave behind.
package struct SpoolLimits: Sendable, Hashable {
    /// Messages that a sink has not passed, and their bytes; more wait at the devices.
    package var messages = 1_000_000
    package var bytes = 1 << 30
    /// Messages that every sink has passed and that stay, to be looked at.
    package var kept = 1000
    /// Messages that a sink refused for good and that are kept; with more the sink waits.
    package var dead = 10_000

    package init() {}
}

/// Lets messages into the spool while there is room, and removes those that every sink has passed.
package actor SpoolGate {
    private let spool: any SinkStore
    private let sinks: [String]
    private var limits: SpoolLimits
    private let logger: Logger
    private let metrics: SpoolMetrics
    /// All sinks have passed this message.
    private var floor: Int64
    private var load: SpoolLoad
    private var counted = ContinuousClock.now
    private var isClosed = false
    private var isFull = false
    private var waiter: CheckedContinuation<Void, Never>?
    private var lastTurn: Task<Void, Never>?

    /// The spool is counted anew so often while it is full, as somebody may remove messages by hand, and while
    /// other gateways put messages there.
    private static let recountPeriod = Duration.seconds(5)

    package init(
        spool: any SinkStore, sinks: [String], limits: SpoolLimits, metrics: SpoolMetrics, logger: Logger
    ) async throws {
        self.spool = spool
        self.sinks = sinks
        self.limits = limits
        self.logger = logger
        self.metrics = metrics
        _ = try await spool.register(sinks: sinks)
        floor = try await spool.passed(byAll: sinks)
        load = try await spool.load(after: floor, through: .max)
        metrics.update(load)
    }

    /// Waits until there is room for a batch, which counts from then on; an empty spool takes one of any size. False
    /// when there is none and nobody waits any more. It throws when the task is cancelled. For one task at a time.
    package func enter(_ batch: SpoolLoad) async throws -> Bool {
        while true {
            let isOld = spool.isShared && ContinuousClock.now - counted > Self.recountPeriod
            if isOld || !hasRoom(for: batch) {
                try await inTurn { try await self.recount() }
            }
            if hasRoom(for: batch) {
                noteFull(false)
                add(batch)
                return true
            }
            guard !isClosed else { return false }
            noteFull(true)
            let recount = Task {
                try? await Task.sleep(for: Self.recountPeriod)
                wakeWaiter()
            }
            await withTaskCancellationHandler {
                await withCheckedContinuation { waiter = $0 }
            } onCancel: {
                Task { await wakeWaiter() }
            }
            recount.cancel()
            try Task.checkCancellation()
        }
    }

    /// What was let in and is not stored, because it came before.
    package func left(out batch: SpoolLoad) {
        add(SpoolLoad(messages: -batch.messages, bytes: -batch.bytes))
    }

    /// A sink, which had everything up to one message, has everything up to another, but for what it refused for good.
    func passed(
        _ claim: any SinkClaim, from position: Int64, through id: Int64, refused: [Int64: String]
    ) async throws {
        try await inTurn {
            try await claim.passed(from: position, through: id, refused: refused)
            do {
                try await self.sweep()
            } catch let error as OuroborosError where error.code == .busy {
                // What stays is removed with what is passed next.
            }
        }
    }

    /// How many messages a sink has not passed: ids have few gaps, but for those that were removed by hand.
    package func lag(of sink: String) async throws -> Int64 {
        max(0, try await spool.lastID() - spool.position(of: sink))
    }

    /// Returns once it is the caller's turn: the gate goes on.
    package func answer() {}

    package func change(_ new: SpoolLimits) {
        limits = new
        wakeWaiter()
    }

    /// Messages that a sink refused for good and that are kept.
    var deadLimit: Int { limits.dead }

    /// Nobody waits any more: there is room, or there is not.
    package func stopWaiting() {
        isClosed = true
        wakeWaiter()
    }

    // MARK: What is counted

    /// One after the other, so that nothing is counted twice.
    private func inTurn(_ body: @escaping @Sendable () async throws -> Void) async throws {
        let before = lastTurn
        let outcome = Promised<Void>()
        lastTurn = Task {
            await before?.value
            do {
                outcome.finish(.success(try await body()))
            } catch {
                outcome.finish(.failure(error))
            }
        }
        // Who is cancelled waits no more; a turn is never cut short, so that what is counted stays right.
        try await outcome.value()
    }

    private func recount() async throws {
        counted = .now
        do {
            floor = try await spool.passed(byAll: sinks)
            load = try await spool.load(after: floor, through: .max)
            metrics.update(load)
        } catch let error as OuroborosError where error.code.passes {
            // What was counted before holds until the database is back; storing waits for it.
        }
    }

    /// Removes what all sinks have passed by now.
    private func sweep() async throws {
        let now = try await spool.passed(byAll: sinks)
        guard now > floor else { return }
        let gone = try await spool.load(after: floor, through: now)
        floor = now
        add(SpoolLoad(messages: -gone.messages, bytes: -gone.bytes))
        _ = try await spool.remove(through: now - Int64(limits.kept))
        wakeWaiter()
    }

    private func add(_ change: SpoolLoad) {
        // Of those that were removed by hand nobody told.
        load.messages = max(0, load.messages + change.messages)
        load.bytes = max(0, load.bytes + change.bytes)
        metrics.update(load)
    }

    private func wakeWaiter() {
        waiter.take()?.resume()
    }

    private func noteFull(_ full: Bool) {
        guard full != isFull else { return }
        isFull = full
        metrics.note(isFull: full)
        if full {
            logger.warning("the spool is full: devices wait until the sinks have caught up")
        } else {
            logger.notice("the spool has room again")
        }
    }

    private func hasRoom(for batch: SpoolLoad) -> Bool {
        load.messages == 0
            || load.messages + batch.messages <= limits.messages && load.bytes + batch.bytes <= limits.bytes
    }
}
