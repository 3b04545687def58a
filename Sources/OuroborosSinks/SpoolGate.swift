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
    private var waiter: (needed: SpoolLoad, continuation: CheckedContinuation<Bool, Never>)?

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

    /// Waits until there is room for a batch, of any size if the spool is empty; false once the gate is closed.
    /// For one task at a time.
    package func enter(_ batch: SpoolLoad) async -> Bool {
        guard !isClosed, !hasRoom(for: batch) else { return !isClosed }
        if !isFull {
            isFull = true
            metrics.becameFull()
            logger.warning("the spool is full: devices wait until the sinks have caught up")
        }
        return await withCheckedContinuation { waiter = (batch, $0) }
    }

    package func stored(_ batch: SpoolLoad) {
        load.messages += batch.messages
        load.bytes += batch.bytes
        metrics.update(load)
    }

    /// A sink has everything up to a message.
    package func passed(_ sink: String, through id: Int64) throws {
        let before = positions.values.min() ?? 0
        try spool.passed(sink, through: id)
        positions[sink] = id
        let now = positions.values.min() ?? 0
        guard now > before else { return }
        let gone = try spool.load(after: before, through: now)
        // Those that were removed by hand are gone already.
        load = SpoolLoad(
            messages: max(0, load.messages - gone.messages), bytes: max(0, load.bytes - gone.bytes))
        _ = try spool.remove(through: now - Int64(limits.kept))
        metrics.update(load)
        admit()
    }

    /// How many messages a sink has not passed.
    package func lag(of sink: String) throws -> Int {
        try spool.load(after: positions[sink] ?? 0).messages
    }

    /// Nobody gets in any more.
    package func close() {
        isClosed = true
        waiter.take()?.continuation.resume(returning: false)
    }

    private func admit() {
        guard let needed = waiter?.needed, hasRoom(for: needed) else { return }
        isFull = false
        metrics.hasRoom()
        logger.info("the spool has room again")
        waiter.take()?.continuation.resume(returning: true)
    }

    private func hasRoom(for batch: SpoolLoad) -> Bool {
        load.messages == 0
            || load.messages + batch.messages <= limits.messages && load.bytes + batch.bytes <= limits.bytes
    }
}
