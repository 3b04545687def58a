import Ouroboros
import OuroborosText
internal import COuroboros

/// The types of section 2.1 of the protocol.
public enum PacketType: UInt8, Sendable, Hashable, CaseIterable {
    case data = 1
    case ack, nack, ping, pong, hello, welcome, close

    public var name: String {
        switch self {
        case .data: "DATA"
        case .ack: "ACK"
        case .nack: "NACK"
        case .ping: "PING"
        case .pong: "PONG"
        case .hello: "HELLO"
        case .welcome: "WELCOME"
        case .close: "CLOSE"
        }
    }

    public var isHandshake: Bool { self == .hello || self == .welcome }
}

public struct PacketFlags: OptionSet, Sendable, Hashable {
    public let rawValue: UInt8

    public init(rawValue: UInt8) {
        self.rawValue = rawValue
    }

    public static let ackRequest = PacketFlags(rawValue: UInt8(OURO_FLAG_ACK_REQ))
    public static let acks = PacketFlags(rawValue: UInt8(OURO_FLAG_ACKS))
    public static let batch = PacketFlags(rawValue: UInt8(OURO_FLAG_BATCH))
    public static let once = PacketFlags(rawValue: UInt8(OURO_FLAG_ONCE))

    /// The names, and the bits that have none in hexadecimal.
    public var names: [String] {
        let named: [(PacketFlags, String)] = [
            (.ackRequest, "ACK_REQ"), (.acks, "ACKS"), (.batch, "BATCH"), (.once, "ONCE"),
        ]
        var names = named.filter { contains($0.0) }.map(\.1)
        let rest = rawValue & 0xf0
        if rest != 0 {
            names.append("0x" + Hex.string(UInt64(rest), digits: 2))
        }
        return names
    }

    public var text: String { isEmpty ? "-" : names.joined(separator: "|") }
}

/// What stands in the first 16 bytes, right or wrong.
public struct PacketHeader: Sendable, Hashable {
    public let version: UInt8
    public let typeNumber: UInt8
    public let flags: PacketFlags
    /// Of the body.
    public let length: UInt16
    public let sessionID: UInt32
    public let counter: UInt64

    public var type: PacketType? { PacketType(rawValue: typeNumber) }
    public var typeName: String { type?.name ?? "type \(typeNumber)" }

    init(_ header: ouro_header, version: UInt8) {
        self.version = version
        typeNumber = header.type
        flags = PacketFlags(rawValue: header.flags)
        length = header.length
        sessionID = header.session_id
        counter = header.counter
    }

    var engineForm: ouro_header {
        ouro_header(
            type: typeNumber, flags: flags.rawValue, length: length, session_id: sessionID, counter: counter)
    }
}
