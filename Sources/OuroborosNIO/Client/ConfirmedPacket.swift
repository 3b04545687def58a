import Ouroboros

/// A packet whose messages are safe.
struct ConfirmedPacket: Sendable {
    let sessionID: UInt32
    let counter: UInt64

    init(_ message: Message) {
        sessionID = message.sessionID
        counter = message.counter
    }
}
