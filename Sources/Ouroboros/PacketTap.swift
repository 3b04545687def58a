/// Sees every packet that links and acceptors take and give, for traces and key logs.
///
/// Packets come as they are on the wire, sealed. A HELLO that is sent, and a WELCOME, come with the credential that
/// they were made with: a tap is trusted as the store of credentials is. It is called where the link is, on an event
/// loop, and has to be quick.
public final class PacketTap: Sendable {
    public enum Event {
        case received([UInt8], from: PeerAddress?, Receipt)
        case sent([UInt8], to: PeerAddress?, credential: Credential?)
    }

    private let body: @Sendable (Event) -> Void

    public init(_ body: @escaping @Sendable (Event) -> Void) {
        self.body = body
    }

    public func report(_ event: @autoclosure () -> Event) {
        body(event())
    }
}

extension PacketTap: Hashable {
    public static func == (left: PacketTap, right: PacketTap) -> Bool { left === right }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(ObjectIdentifier(self))
    }
}
