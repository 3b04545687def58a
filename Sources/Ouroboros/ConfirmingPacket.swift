internal import COuroboros

/// The first packet of a pending session, which was authentic. An ``Acceptor`` opens it, and then gives the session to a link.
public final class ConfirmingPacket {
    public let sessionID: UInt32
    /// What the session was made from: the epoch of the device's credential, or its generation.
    public let number: UInt64
    let source: PeerAddress
    let kept: KeptPacket?
    var opened = ouro_opened()

    init(of sessionID: UInt32, from source: PeerAddress, number: UInt64, kept: KeptPacket?) {
        self.sessionID = sessionID
        self.source = source
        self.number = number
        self.kept = kept
    }

    /// The session's own, once it is confirmed.
    public var nextNumber: UInt64 { number == .max ? .max : number + 1 }
}
