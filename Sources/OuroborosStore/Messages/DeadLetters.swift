/// A message that a sink refused for good. It is kept until somebody has it tried again, or removes it.
public struct DeadLetter: Sendable, Hashable {
    public let sink: String
    public let message: SpooledMessage
    /// Milliseconds since 1970.
    public let refusedAt: Int64
    /// What the other side said.
    public let reason: String
    /// How often somebody asked for another try.
    public let retries: Int64

    package init(
        sink: String, message: SpooledMessage, refusedAt: Int64, reason: String, retries: Int64
    ) {
        self.sink = sink
        self.message = message
        self.refusedAt = refusedAt
        self.reason = reason
        self.retries = retries
    }
}

/// What sinks refused for good. ``SinkClaim`` puts it here.
public protocol DeadLetterStore: Sendable {
    /// In the order of their ids, then of their sinks; those after this one.
    func deadLetters(after last: DeadLetter?, limit: Int) async throws -> [DeadLetter]

    /// Those that the sink is to be given again.
    func deadLetters(toRetryAt sink: String, limit: Int) async throws -> [DeadLetter]

    func deadLetterCount(of sink: String) async throws -> Int64

    /// Has them tried again; nil is any sink, any message. Gives how many.
    func retryDeadLetters(of sink: String?, id: Int64?) async throws -> Int

    /// Removes those of messages up to that id. Gives how many.
    func removeDeadLetters(through id: Int64) async throws -> Int
}
