internal import COuroboros

/// What went wrong, where, and what to do. It never holds key bytes or payloads.
public struct OuroborosError: Error, Sendable, Hashable {
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        private enum Kind: String {
            case invalidKey, invalidDeviceID, invalidConfiguration, invalidAddress
            case tooLarge, failed, unknown, closed, unreachable, notConnected
            case wrongState, noPlace, limit, engine, damaged, storage, busy, transport, stalled, sequence
        }

        private let kind: Kind

        private init(_ kind: Kind) {
            self.kind = kind
        }

        public var description: String { kind.rawValue }

        public static let invalidKey = Code(.invalidKey)
        public static let invalidDeviceID = Code(.invalidDeviceID)
        public static let invalidConfiguration = Code(.invalidConfiguration)
        public static let invalidAddress = Code(.invalidAddress)
        /// A message above the largest that the other side takes.
        public static let tooLarge = Code(.tooLarge)
        /// A message that was never sent.
        public static let failed = Code(.failed)
        /// A message that was sent and may have arrived.
        public static let unknown = Code(.unknown)
        /// A message that was sent and did not get through, though others did: it is probably larger than the path
        /// carries. It may have arrived.
        public static let stalled = Code(.stalled)
        public static let closed = Code(.closed)
        /// No answer within the give-up time.
        public static let unreachable = Code(.unreachable)
        /// At a server: the device has no session now.
        public static let notConnected = Code(.notConnected)
        public static let wrongState = Code(.wrongState)
        public static let noPlace = Code(.noPlace)
        /// A place in an outbox that is too far above a lower one which is *unknown*: give that one first.
        public static let sequence = Code(.sequence)
        /// Over a limit of one's own configuration.
        public static let limit = Code(.limit)
        /// The engine's crypto library failed.
        public static let engine = Code(.engine)
        /// A saved session that cannot be used.
        public static let damaged = Code(.damaged)
        public static let storage = Code(.storage)
        /// A file that cannot be used now: another process holds it, the disk is full or fails, it is read-only.
        public static let busy = Code(.busy)
        public static let transport = Code(.transport)

        /// A file or a database that another try may find there again.
        package var passes: Bool { self == .busy || self == .unreachable }

        /// The message was sent, and nobody knows whether it arrived.
        public var mayHaveArrived: Bool { self == .unknown || self == .stalled }
    }

    public let code: Code
    public let message: String

    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }
}

extension OuroborosError: CustomStringConvertible {
    public var description: String { message }
}

extension OuroborosError {
    static func check(_ status: ouro_status, _ activity: @autoclosure () -> String) throws(OuroborosError) {
        if status != OURO_OK {
            throw OuroborosError(status, activity())
        }
    }

    init(_ status: ouro_status, _ activity: String) {
        let code: Code =
            switch status {
            case OURO_ERR_ARGUMENT: .invalidConfiguration
            case OURO_ERR_STATE: .wrongState
            case OURO_ERR_TOO_LARGE: .tooLarge
            case OURO_ERR_NO_PLACE: .noPlace
            case OURO_ERR_DAMAGED: .damaged
            case OURO_ERR_SEQ: .sequence
            case OURO_END_CLOSED, OURO_END_LIMIT, OURO_END_STREAM: .closed
            default: .engine
            }
        self.init(code, "\(activity): \(String(cString: ouro_status_name(status)))")
    }
}
