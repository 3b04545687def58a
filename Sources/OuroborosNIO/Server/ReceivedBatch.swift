import Ouroboros

/// A message that came to a server.
public struct ReceivedMessage: Sendable {
    public let device: DeviceID
    public let message: Message
    /// The worker and the link it came over: its room is given back when it is safe.
    let worker: Int
    let link: UInt64

    public var payload: [UInt8] { message.payload }
}

/// Messages that came and are to be made safe: each device is told only after ``confirm()``.
public struct ReceivedBatch: Sendable {
    public let messages: [ReceivedMessage]
    let hub: ServerHub

    /// They are safe: written, or not wanted. A batch that is never confirmed comes again, from the device.
    public func confirm() {
        hub.confirm(messages)
    }
}
