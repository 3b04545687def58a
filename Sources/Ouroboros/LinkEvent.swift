internal import COuroboros

/// The number that a link gave to a message that is to be sent.
public struct MessageID: Sendable, Hashable {
    let number: UInt32
}

/// Why a session was closed.
public enum CloseReason: UInt8, Sendable, Hashable {
    case normal = 0
    case idle
    case rekey
    case shutdown
    case protocolError
}

/// What a link has to tell.
public enum LinkEvent: Sendable {
    /// Hand it on and make it safe; after the last of its packet call ``Link/done(sessionID:counter:)``.
    case message(Message)
    case delivered(MessageID)
    /// An unreliable message went out.
    case sent(MessageID)
    /// It was sent, but its session ended before an acknowledgement: it may have arrived. With a position in an outbox it
    /// is given again, before anything higher; one that was ``stalled(_:size:)`` never again under its position.
    case unknown(MessageID, isStalled: Bool)
    /// It was never sent.
    case failed(MessageID)
    case established(sessionID: UInt32)
    case closed(reason: CloseReason, byPeer: Bool, missing: UInt64)
    /// The credential moved, or its count of short sessions alone: make it durable in one write, then call
    /// ``Link/epochSaved()``.
    case epochMoved(Credential)
    /// This message does not get through, though others do: it is probably larger than the path carries. Told once; its
    /// outcome follows. Send smaller ones (a batch: fewer items).
    case stalled(MessageID, size: Int)
    /// The path counts as dead; the link goes on trying.
    case dead
    case alive
    case pong(roundTripMilliseconds: UInt64)
}
