import Ouroboros
import OuroborosStore

/// A spool that fails, or takes its time, as a test wants it.
struct TroubledSpool: SinkStore {
    enum Call: Hashable {
        case messages, load
        case claim(String)
    }

    let spool: Spool
    /// Before each of these calls.
    let trouble: @Sendable (Call) async throws -> Void

    var isShared: Bool { spool.isShared }

    func store(_ messages: [(device: DeviceID, message: Message)], now: Int64) throws -> [Bool] {
        try spool.store(messages, now: now)
    }

    func messages(after id: Int64, limit: Int) async throws -> [SpooledMessage] {
        try await trouble(.messages)
        return try spool.messages(after: id, limit: limit)
    }

    func page(after id: Int64, limit: Int) async throws -> SpoolPage {
        try await trouble(.messages)
        return try spool.page(after: id, limit: limit)
    }

    func remove(through id: Int64) throws -> Int { try spool.remove(through: id) }
    func identity() throws -> String { try spool.identity() }
    func register(sinks: [String]) throws -> [String: SinkState] { try spool.register(sinks: sinks) }
    func position(of sink: String) throws -> Int64 { try spool.position(of: sink) }
    func passed(byAll sinks: [String]) throws -> Int64 { try spool.passed(byAll: sinks) }

    func claim(_ sink: String) async throws -> (any SinkClaim)? {
        try await trouble(.claim(sink))
        return try spool.claim(sink)
    }

    func forget(sink: String) throws -> Bool { try spool.forget(sink: sink) }

    func load(after first: Int64, through last: Int64) async throws -> SpoolLoad {
        try await trouble(.load)
        return try spool.load(after: first, through: last)
    }

    func lastID() throws -> Int64 { try spool.lastID() }

    func deadLetters(after last: DeadLetter?, limit: Int) throws -> [DeadLetter] {
        try spool.deadLetters(after: last, limit: limit)
    }

    func deadLetters(toRetryAt sink: String, limit: Int) throws -> [DeadLetter] {
        try spool.deadLetters(toRetryAt: sink, limit: limit)
    }

    func deadLetterCount(of sink: String) throws -> Int64 { try spool.deadLetterCount(of: sink) }

    func retryDeadLetters(of sink: String?, id: Int64?) throws -> Int {
        try spool.retryDeadLetters(of: sink, id: id)
    }

    func removeDeadLetters(through id: Int64) throws -> Int { try spool.removeDeadLetters(through: id) }
}
