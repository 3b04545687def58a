import Ouroboros
import OuroborosAnalysis
import OuroborosNIO

/// A line a packet, of what anybody on the path can see, and of what became of it here.
enum PacketTrace {
    static func line(_ event: PacketTap.Event) -> String {
        switch event {
        case .sent(let packet, let address, _):
            "->\(text(address)) \(DecodedPacket(packet).line(size: packet.count))"
        case .received(let packet, let address, let receipt):
            "<-\(text(address)) \(DecodedPacket(packet).line(size: packet.count))\(text(receipt))"
        }
    }

    private static func text(_ address: PeerAddress?) -> String {
        address?.socketAddress.map { " " + $0.readable } ?? ""
    }

    private static func text(_ receipt: Receipt) -> String {
        switch receipt {
        case .taken: ""
        case .dropped(let reason): ": dropped, \(reason)"
        case .ended(let error): ": \(error)"
        }
    }
}
