internal import COuroboros

/// A message as a link takes it.
public struct OutgoingMessage: Sendable {
    public var payload: [UInt8]
    public var delivery: Delivery
    /// It fails when it waits longer than so many milliseconds, 1 to 2^31 - 1; nil is for ever, or the setting's if
    /// unreliable.
    public var timeToLive: UInt32?
    public var position: OutboxPosition?
    let isBatch: Bool

    public init(
        _ payload: [UInt8], delivery: Delivery = .reliable, timeToLive: UInt32? = nil,
        position: OutboxPosition? = nil
    ) {
        self.payload = payload
        self.delivery = delivery
        self.timeToLive = timeToLive
        self.position = position
        isBatch = false
    }

    /// The packet of a batch.
    public init(batch: Batch, delivery: Delivery = .reliable) {
        payload = batch.bytes
        self.delivery = delivery
        isBatch = true
    }
}

/// Several messages that travel in one packet.
public struct Batch: Sendable {
    public let limit: Int
    public private(set) var count = 0
    private(set) var bytes: [UInt8] = []

    /// `limit` is the largest message that the link takes.
    public init(limit: Int) {
        self.limit = limit
    }

    public var isEmpty: Bool { count == 0 }

    /// False when the item does not fit any more.
    public mutating func append(_ item: [UInt8]) -> Bool {
        var length = bytes.count
        let room = min(limit, length + 2 + item.count)
        guard length + 2 + item.count <= room else { return false }
        bytes.append(contentsOf: repeatElement(0, count: 2 + item.count))
        let status = bytes.withUnsafeMutableBufferPointer { batch in
            item.withUnsafeBufferPointer { item in
                ouro_batch_append(batch.baseAddress, batch.count, &length, item.baseAddress, item.count)
            }
        }
        if status != OURO_OK {
            bytes.removeLast(2 + item.count)
            return false
        }
        count += 1
        return true
    }
}

extension OuroborosError {
    /// What became of a message that was sent and not acknowledged.
    package static func unknown(isStalled: Bool) -> OuroborosError {
        isStalled
            ? OuroborosError(
                .stalled,
                "the message did not get through, though others did: it is probably larger than the path carries, so "
                    + "send smaller ones. It may have arrived")
            : OuroborosError(
                .unknown, "the session ended before the message was acknowledged: it may have arrived")
    }

    /// A message above what the other side takes.
    public static func tooLarge(_ size: Int, limit: Int) -> OuroborosError {
        OuroborosError(
            .tooLarge,
            "a message of \(size) bytes is above the other side's limit of \(limit) bytes: split it")
    }
}
