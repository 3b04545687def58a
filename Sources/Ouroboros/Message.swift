/// How a message is to travel.
public enum Delivery: Sendable, Hashable {
    /// Sent again until it is acknowledged.
    case reliable
    /// Sent once.
    case unreliable
}

/// Where a message stands in its sender's durable outbox: the same in every session it is sent in.
public struct OutboxPosition: Sendable, Hashable {
    public let box: UInt32
    public let sequence: UInt32

    public init(box: UInt32, sequence: UInt32) {
        self.box = box
        self.sequence = sequence
    }
}

/// A message that came.
public struct Message: Sendable, Hashable {
    public let sessionID: UInt32
    public let counter: UInt64
    public let payload: [UInt8]
    /// Set when the sender keeps it in an outbox.
    public let position: OutboxPosition?
    /// True for the last, or only, message of its packet: it stands for the packet's acknowledgement.
    public let isLastOfPacket: Bool

    public init(
        sessionID: UInt32, counter: UInt64, payload: [UInt8], position: OutboxPosition? = nil,
        isLastOfPacket: Bool = true
    ) {
        self.sessionID = sessionID
        self.counter = counter
        self.payload = payload
        self.position = position
        self.isLastOfPacket = isLastOfPacket
    }
}
