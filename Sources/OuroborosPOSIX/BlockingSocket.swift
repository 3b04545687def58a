import Ouroboros

/// What a ``BlockingClient`` sends through and waits on: the system's UDP socket, or a test's own.
public protocol BlockingSocket: AnyObject {
    /// Milliseconds that never run backwards.
    var now: UInt64 { get }
    /// Sends a packet, or loses it.
    func send(_ packet: UnsafeRawBufferPointer)
    /// Waits for a packet until `deadline`, and gives its size; nil when none came, or when a signal did.
    func receive(into buffer: UnsafeMutableRawBufferPointer, until deadline: UInt64) throws(OuroborosError)
        -> Int?
    /// The packet that was received last was authentic and new; its session, 0 for none, and what the client has now.
    func took(sessionID: UInt32, held: [UInt32], isShakingHands: Bool)
    /// Why nothing reaches the server, if that is known.
    var problem: String? { get }
}

extension BlockingSocket {
    public func took(sessionID: UInt32, held: [UInt32], isShakingHands: Bool) {}
    public var problem: String? { nil }
}
