import LibC
import Ouroboros

/// A spool for those who must not wait on a thread for a disk.
package struct AwaitedSpool: SinkStore {
    private let spool: Spool
    private let reads = OwnThread()
    private let writes = OwnThread()

    package init(_ spool: Spool) {
        self.spool = spool
    }

    package var isShared: Bool { spool.isShared }

    package func store(
        _ messages: [(device: DeviceID, message: Message)], now: Int64
    ) async throws -> [Bool] {
        try await writes.run { [spool] in try spool.store(messages, now: now) }
    }

    package func messages(after id: Int64, limit: Int) async throws -> [SpooledMessage] {
        try await reads.runUnlessCancelled { [spool] in try spool.messages(after: id, limit: limit) }
    }

    package func page(after id: Int64, limit: Int) async throws -> SpoolPage {
        try await reads.runUnlessCancelled { [spool] in try spool.page(after: id, limit: limit) }
    }

    package func remove(through id: Int64) async throws -> Int {
        try await writes.run { [spool] in try spool.remove(through: id) }
    }

    package func identity() async throws -> String {
        try await reads.runUnlessCancelled { [spool] in try spool.identity() }
    }

    package func register(sinks: [String]) async throws -> [String: SinkState] {
        try await writes.run { [spool] in try spool.register(sinks: sinks) }
    }

    package func position(of sink: String) async throws -> Int64 {
        try await reads.runUnlessCancelled { [spool] in try spool.position(of: sink) }
    }

    package func passed(byAll sinks: [String]) async throws -> Int64 {
        try await reads.runUnlessCancelled { [spool] in try spool.passed(byAll: sinks) }
    }

    package func claim(_ sink: String) async throws -> (any SinkClaim)? {
        AwaitedClaim(claim: try await writes.run { [spool] in try spool.ownClaim(sink) }, writes: writes)
    }

    package func forget(sink: String) async throws -> Bool {
        try await writes.run { [spool] in try spool.forget(sink: sink) }
    }

    package func load(after first: Int64, through last: Int64) async throws -> SpoolLoad {
        try await reads.runUnlessCancelled { [spool] in try spool.load(after: first, through: last) }
    }

    package func lastID() async throws -> Int64 {
        try await reads.runUnlessCancelled { [spool] in try spool.lastID() }
    }
}

extension AwaitedSpool {
    package func deadLetters(after last: DeadLetter?, limit: Int) async throws -> [DeadLetter] {
        try await reads.runUnlessCancelled { [spool] in try spool.deadLetters(after: last, limit: limit) }
    }

    package func deadLetters(toRetryAt sink: String, limit: Int) async throws -> [DeadLetter] {
        try await reads.runUnlessCancelled { [spool] in try spool.deadLetters(toRetryAt: sink, limit: limit) }
    }

    package func deadLetterCount(of sink: String) async throws -> Int64 {
        try await reads.runUnlessCancelled { [spool] in try spool.deadLetterCount(of: sink) }
    }

    package func retryDeadLetters(of sink: String?, id: Int64?) async throws -> Int {
        try await writes.run { [spool] in try spool.retryDeadLetters(of: sink, id: id) }
    }

    package func removeDeadLetters(through id: Int64) async throws -> Int {
        try await writes.run { [spool] in try spool.removeDeadLetters(through: id) }
    }
}

private struct AwaitedClaim: SinkClaim {
    let claim: SpoolClaim
    let writes: OwnThread

    var start: SinkState { claim.start }

    func check() {}

    func beginBatch(through id: Int64) async throws {
        try await writes.run { [claim] in try claim.beginBatch(through: id) }
    }

    func passed(from position: Int64, through id: Int64, refused: [Int64: String]) async throws {
        try await writes.run { [claim] in try claim.passed(from: position, through: id, refused: refused) }
    }

    func retried(_ id: Int64, refused reason: String?) async throws {
        try await writes.run { [claim] in try claim.retried(id, refused: reason) }
    }
}

extension AwaitedSpool: WatchedFile {
    package var path: String { spool.database.path }
    package var unreadable: UnreadableRows { spool.unreadable }
    package var failures: AsyncStream<Void> { spool.database.health.failures }
    package var trouble: OuroborosError? { spool.database.health.trouble ?? [reads, writes].hang(at: path) }
    package var damage: OuroborosError? { spool.database.health.damage }

    package func probe() async throws {
        try await writes.runUnlessCancelled { [spool] in try spool.database.probe() }
    }
}
