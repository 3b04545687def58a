import Ouroboros

/// What becomes of a client's connection.
public enum ConnectionState: Sendable, Hashable {
    case connecting
    /// There is a session, a new one after each handshake.
    case connected(sessionID: UInt32)
    /// The server was not heard from for the give-up time; the connection goes on trying.
    case unreachable
    /// It was heard from again.
    case reachable
    /// The stream broke, and another is opened: what was in flight is *unknown*.
    case interrupted
    /// The session ended; the next message begins another. `missing` messages of the server never came.
    case sessionClosed(CloseReason, byServer: Bool, missing: UInt64)
    /// A message of so many bytes does not get through, though others do: it is probably larger than the path carries.
    /// Told once; ``OuroborosConnection/state`` stays what it was.
    case messageStalled(size: Int, position: OutboxPosition?)
    /// The connection is over.
    case closed
}

/// What tasks may ask of a connection without going to its event loop.
struct ClientFacts {
    var maximumMessage = 0
    var state = ConnectionState.connecting
}
