/// Where the page's facts come from. It never gives a secret.
public protocol PageSource: Sendable {
    var gateway: PageGateway { get }
    func counts() async throws -> PageCounts
    func devices() async throws -> PageDevices
    /// The last messages of a device, the newest first; nil when payloads are not to be shown.
    func messages(of device: String) async -> [PageMessage]?
}

/// Whose page it is.
public struct PageGateway: Sendable, Equatable {
    /// In its fleet; nil for one that stands alone.
    public let number: UInt8?
    /// Devices that have no session here may have one at another gateway.
    public let sharesDevices: Bool

    public init(number: UInt8? = nil, sharesDevices: Bool = false) {
        self.number = number
        self.sharesDevices = sharesDevices
    }

    var title: String { "Ouroboros gateway" + (number.map { " \($0)" } ?? "") }

    /// The states that its devices can be in.
    var presences: [PageDevice.Presence] { [.online, .sleeping, sharesDevices ? .away : .offline] }
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

/// The devices that a gateway can tell of.
public struct PageDevices: Sendable, Equatable {
    public var all: [PageDevice]
    /// Why others are left out, if they are.
    public var notice: String?

    public init(_ all: [PageDevice], notice: String? = nil) {
        self.all = all
        self.notice = notice
    }
}

public struct PageDevice: Sendable, Equatable {
    public enum Presence: String, Sendable, CaseIterable {
        /// It has a session, and was heard lately.
        case online
        /// It has a session, and was silent for a while.
        case sleeping
        /// It has no session here, and there is nowhere else.
        case offline
        /// It has no session here, and may have one at another gateway.
        case away
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
