internal import COuroboros

/// Why a packet was dropped.
public enum DropReason: UInt8, Sendable, Hashable, CaseIterable {
    case malformed = 1
    case unknownSession
    case authentication
    case replay
    case ahead
    case duplicate
    case busy
    case closed
    case nonsense
    case handshake
    case epoch
    case limit
    /// The HELLO is authentic, and one side has the credential as fixed, the other as evolving: one is set wrong.
    case kind
    /// A handshake for a stream that came in a datagram, or the other way round.
    case transport

    init?(_ status: ouro_status) {
        guard ouro_is_drop(status), status.rawValue > -Int32(OURO_DROP_KINDS) else { return nil }
        self.init(rawValue: UInt8(-status.rawValue))
    }
}

/// What became of a packet.
public enum Receipt {
    case taken
    /// Hostile, late or repeated: counted, and nothing more is to be done.
    case dropped(DropReason)
    /// The session or the stream is over, or the engine failed.
    case ended(OuroborosError)

    init(_ status: ouro_status) {
        if status == OURO_OK {
            self = .taken
        } else if let reason = DropReason(status) {
            self = .dropped(reason)
        } else {
            self = .ended(OuroborosError(status, "receiving a packet"))
        }
    }
}
