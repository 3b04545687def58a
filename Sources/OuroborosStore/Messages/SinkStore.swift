import Ouroboros

/// Where one sink stands in a spool.
public struct SinkState: Sendable, Hashable {
    /// The last message that the sink has passed; 0 before the first.
    public let position: Int64
    /// The last message of the batch that the sink was given last, passed or not.
    public let batchEnd: Int64

    package init(position: Int64 = 0, batchEnd: Int64 = 0) {
        self.position = position
        self.batchEnd = batchEnd
    }

    /// It is not what the claim knows of it.
    package static func changed(_ sink: String) -> OuroborosError {
        OuroborosError(
            .unreachable, "the position of the sink “\(sink)” was changed by somebody else, and is read anew")
    }
}

/// How much of a spool there is.
public struct SpoolLoad: Sendable, Hashable {
    public var messages: Int
    /// Of the payloads.
    public var bytes: Int

    public init(messages: Int = 0, bytes: Int = 0) {
        self.messages = messages
        self.bytes = bytes
    }
}

/// A spool that sinks read, each at its own pace. A database that is away is `OuroborosError` with the code
/// `unreachable`, a file that cannot be written now *busy*: another try may succeed.
public protocol SinkStore: MessageStore, DeadLetterStore {
    /// Several gateways store messages here, and each sink is run by one of them at a time.
    var isShared: Bool { get }

    /// A name of the spool's own: 16 hexadecimal digits, chosen when it was made.
    func identity() async throws -> String

    /// Where these sinks stand. One that is new begins with the oldest message that is there.
    func register(sinks: [String]) async throws -> [String: SinkState]

    /// The last message that a sink has passed.
    func position(of sink: String) async throws -> Int64

    /// The last message that all these sinks have passed. In a shared spool those of other gateways count too.
    func passed(byAll sinks: [String]) async throws -> Int64

    /// The right to run a sink, until it is let go of; nil while another gateway has it.
    func claim(_ sink: String) async throws -> (any SinkClaim)?

    /// Takes a sink out, which holds no message back any more. False when there is none of that name.
    func forget(sink: String) async throws -> Bool

    /// What lies after the message with that id, oldest first: of so many rows those that can be read, and those that
    /// cannot.
    func page(after id: Int64, limit: Int) async throws -> SpoolPage

    /// How much lies after one message, up to another.
    func load(after first: Int64, through last: Int64) async throws -> SpoolLoad

    /// The newest message; 0 when there is none.
    func lastID() async throws -> Int64
}

/// The right to move a sink. When it is lost, what follows throws an `OuroborosError` with the code `unreachable`.
public protocol SinkClaim: Sendable {
    /// Where the sink stood when it was claimed.
    var start: SinkState { get }

    /// Throws when the claim is lost.
    func check() async throws

    /// The sink is about to be given all up to this message: after a crash it is given the same batch.
    func beginBatch(through id: Int64) async throws

    /// The sink, which had all up to `position`, has all up to `id`, but for what it refused for good: that is set aside
    /// with the reason.
    func passed(from position: Int64, through id: Int64, refused: [Int64: String]) async throws

    /// The sink was given a message again that had been set aside, and has it, or refused it for good again.
    func retried(_ id: Int64, refused reason: String?) async throws
}

extension SinkClaim {
    public func passed(from position: Int64, through id: Int64) async throws {
        try await passed(from: position, through: id, refused: [:])
    }
}
