/// Where the page's facts come from. It never gives a secret.
public protocol PageSource: Sendable {
    func counts() async throws -> PageCounts
    func devices() async throws -> [PageDevice]
    /// The last messages of a device, the newest first; nil when payloads are not to be shown.
    func messages(of device: String) async -> [PageMessage]?
}

/// What a gateway counted since it began.
public struct PageCounts: Sendable, Equatable {
    public var messages: UInt64
    public var sessions: Int
    public var drops: [Drop]

    public struct Drop: Sendable, Equatable {
        public let reason: String
        public let count: UInt64

        public init(reason: String, count: UInt64) {
            self.reason = reason
            self.count = count
        }
    }

    public init(messages: UInt64, sessions: Int, drops: [Drop]) {
        self.messages = messages
        self.sessions = sessions
        self.drops = drops
    }
}

public struct PageDevice: Sendable, Equatable {
    public enum Presence: String, Sendable, CaseIterable {
        /// It has a session, and was heard lately.
        case online
        /// It has a session, and was silent for a while.
        case sleeping
        /// It has no session here.
        case offline
    }

    public let id: String
    /// Whatever somebody called it; empty without a name.
    public var name: String
    public var presence: Presence
    /// Milliseconds since 1970.
    public var lastSeen: Int64?
    public var roundTripMilliseconds: Int?
    /// Of 1: packets that were sent again, by either side, among all of the session's.
    public var loss: Double?
    public var epoch: UInt64?

    public init(id: String, name: String = "", presence: Presence) {
        self.id = id
        self.name = name
        self.presence = presence
    }
}

public struct PageMessage: Sendable, Equatable {
    /// Milliseconds since 1970.
    public let receivedAt: Int64
    /// Bytes of the payload, and as many of them as are kept.
    public let size: Int
    public let beginning: [UInt8]

    public init(receivedAt: Int64, size: Int, beginning: [UInt8]) {
        self.receivedAt = receivedAt
        self.size = size
        self.beginning = beginning
    }
}
