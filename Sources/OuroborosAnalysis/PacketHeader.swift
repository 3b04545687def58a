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

    /// Of HELLO and WELCOME.
    public static let stream = PacketFlags(rawValue: UInt8(OURO_FLAG_STREAM))
    public static let evolving = PacketFlags(rawValue: UInt8(OURO_FLAG_EVOLVING))

    /// The names that they have in a packet of that type, and the bits that have none in hexadecimal.
    public func names(in type: PacketType?) -> [String] {
        let named: [(PacketFlags, String)] =
            type?.isHandshake == true
            ? [(.stream, "STREAM"), (.evolving, "EVOLVING")]
            : [(.ackRequest, "ACK_REQ"), (.acks, "ACKS"), (.batch, "BATCH"), (.once, "ONCE")]
        var names = named.filter { contains($0.0) }.map(\.1)
        let rest = named.reduce(self) { $0.subtracting($1.0) }
        if !rest.isEmpty {
            names.append("0x" + Hex.string(UInt64(rest.rawValue), digits: 2))
        }
        return names
    }
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
    public var flagNames: [String] { flags.names(in: type) }
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
