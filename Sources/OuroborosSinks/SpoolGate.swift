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

    package init() {}
}

/// Lets messages into the spool while there is room, and removes those that every sink has passed.
package actor SpoolGate {
    private let spool: Spool
    private let limits: SpoolLimits
    private let logger: Logger
    private let metrics: SpoolMetrics
    private var positions: [String: Int64]
    private var load: SpoolLoad
    private var isClosed = false
    private var isFull = false
    private var waiter: CheckedContinuation<Void, Never>?

    /// While it is full the spool is counted anew so often: somebody may remove messages by hand.
    private static let recountPeriod = Duration.seconds(5)

    package init(
        spool: Spool, sinks: [String], limits: SpoolLimits, metrics: SpoolMetrics, logger: Logger
    ) throws {
        self.spool = spool
        self.limits = limits
        self.logger = logger
        self.metrics = metrics
        positions = try spool.register(sinks: sinks).mapValues(\.position)
        load = try spool.load(after: positions.values.min() ?? 0)
        metrics.update(load)
    }

    /// Waits until there is room for a batch, which counts from then on; an empty spool takes one of any size. False
    /// when there is none and nobody waits any more. For one task at a time.
    package func enter(_ batch: SpoolLoad) async throws -> Bool {
        while true {
            if !hasRoom(for: batch) {
                load = try spool.load(after: positions.values.min() ?? 0)
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
            await withCheckedContinuation { waiter = $0 }
            recount.cancel()
        }
    }

    /// What was let in and is not stored, because it came before.
    package func left(out batch: SpoolLoad) {
        add(SpoolLoad(messages: -batch.messages, bytes: -batch.bytes))
    }

    /// A sink has everything up to a message.
    package func passed(_ sink: String, through id: Int64) throws {
        let before = positions.values.min() ?? 0
        try spool.passed(sink, through: id)
        positions[sink] = id
        let now = positions.values.min() ?? 0
        guard now > before else { return }
        let gone = try spool.load(after: before, through: now)
        add(SpoolLoad(messages: -gone.messages, bytes: -gone.bytes))
        _ = try spool.remove(through: now - Int64(limits.kept))
        wakeWaiter()
    }

    /// How many messages a sink has not passed: ids have no gaps, but for those that were removed by hand.
    package func lag(of sink: String) throws -> Int64 {
        max(0, try spool.lastID() - (positions[sink] ?? 0))
    }

    /// Nobody waits any more: there is room, or there is not.
    package func stopWaiting() {
        isClosed = true
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
