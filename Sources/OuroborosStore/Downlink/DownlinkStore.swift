import Ouroboros

/// What is kept of messages to devices at most.
public struct DownlinkLimits: Sendable, Hashable {
    /// Messages that wait, of all devices and of one, and their bytes.
    public var messages = 10_000
    public var bytes = 8 << 20
    public var messagesPerDevice = 100
    public var bytesPerDevice = 64 << 10
    /// How long a fate is remembered, in milliseconds.
    public var memory: Int64 = 86_400_000

    public init() {}

    /// Throws *limit* when a message finds no room beside what waits of its device, and of all.
    package func check(bytes: Int, of device: DeviceID, own: SpoolLoad, all: SpoolLoad) throws {
        guard own.messages < messagesPerDevice, own.bytes + bytes <= bytesPerDevice else {
            throw OuroborosError(
                .limit,
                "too many messages wait for device \(device): at most \(messagesPerDevice), "
                    + "of \(bytesPerDevice) bytes")
        }
        guard all.messages < messages, all.bytes + bytes <= self.bytes else {
            throw OuroborosError(
                .limit,
                "too many messages wait for devices: at most \(messages), of \(self.bytes) bytes")
        }
    }
}

public enum DownlinkState: String, Sendable, Hashable {
    /// It waits for the device.
    case queued
    /// It was handed to a session, and is not acknowledged.
    case sending
    case delivered
    /// It was never sent.
    case failed
    /// It was sent, and may have arrived.
    case unknown

    public var isFinal: Bool { self != .queued && self != .sending }
}

/// A message to a device, and what became of it.
public struct DownlinkEntry: Sendable, Hashable {
    public let id: Int64
    public let device: DeviceID
    /// Milliseconds since 1970.
    public let queuedAt: Int64
    public let expiresAt: Int64
    public let state: DownlinkState
    /// Why it failed or is unknown.
    public let reason: String?
    /// Empty once its fate is known.
    public let payload: [UInt8]

    package init(
        id: Int64, device: DeviceID, queuedAt: Int64, expiresAt: Int64, state: DownlinkState,
        reason: String?, payload: [UInt8]
    ) {
        self.id = id
        self.device = device
        self.queuedAt = queuedAt
        self.expiresAt = expiresAt
        self.state = state
        self.reason = reason
        self.payload = payload
    }

    package static let neverThere = "the device was not there within the message's time to live"
    package static let gatewayEnded =
        "the gateway ended before the message was acknowledged: it may have arrived"
}

/// What others do to a queue.
public enum DownlinkNotice: Sendable, Hashable {
    /// A message waits for a device.
    case waits(DeviceID)
    /// A message's fate is known.
    case settled(Int64)
    /// Notices may have been missed: what waits, and what is waited for, is to be read anew.
    case missed
}

/// Messages to devices until their fate is known, and for a while after: ``DownlinkQueue`` on SQLite, or a database
/// that several gateways share. A database that is away is `OuroborosError` with the code `unreachable`, a file that
/// cannot be written now *busy*: another try may succeed. Times are milliseconds since 1970.
public protocol DownlinkStore: Sendable {
    /// Several gateways queue messages here, and each sends to the devices that it has.
    var isShared: Bool { get }

    /// Durable when this returns. It throws *limit* when there is no room, and *unknown* when the message may or may not
    /// be in the queue.
    func add(
        _ payload: [UInt8], for device: DeviceID, expiresAt: Int64, now: Int64
    ) async throws -> DownlinkEntry

    /// The devices for which something waits.
    func waitingDevices() async throws -> Set<DeviceID>

    /// The oldest messages that wait for a device and are not too old; they are under way here from now on.
    func take(for device: DeviceID, limit: Int, now: Int64) async throws -> [DownlinkEntry]

    /// A message that was taken here was not sent: it waits again.
    func giveBack(_ id: Int64) async throws

    /// The fate of a message that was taken here. False when another fate was written before; the first one counts.
    func finish(_ id: Int64, as state: DownlinkState, reason: String?, now: Int64) async throws -> Bool

    /// Messages that waited too long have failed, and fates that were kept long enough are forgotten. Gives the fates
    /// that are known now.
    func expire(now: Int64) async throws -> [Int64: DownlinkState]

    /// When the first of the messages that wait will have waited too long; nil when none waits.
    func firstExpiry() async throws -> Int64?

    func entry(_ id: Int64) async throws -> DownlinkEntry?

    /// Those of these messages that have no fate yet.
    func pending(among ids: [Int64]) async throws -> Set<Int64>

    /// How much waits or is under way.
    func load() async throws -> SpoolLoad

    /// What happens elsewhere, for one reader.
    func notices() -> AsyncStream<DownlinkNotice>
}
