internal import COuroboros
import Ouroboros

/// What a HELLO says.
public struct Hello: Sendable, Hashable {
    public let device: DeviceID
    public let epoch: UInt64
    public let nonce: [UInt8]
    public let reach: UInt8
    public let top: UInt8
    public let maxBody: UInt16
    public let challenge: [UInt8]?

    init(_ hello: ouro_hello) {
        device = DeviceID(
            number: withUnsafeBytes(of: hello.device_id) { $0.reduce(0) { $0 << 8 | UInt64($1) } })
        epoch = hello.epoch
        nonce = withUnsafeBytes(of: hello.nonce) { Array($0) }
        reach = hello.reach
        top = hello.top
        maxBody = hello.max_body
        challenge = hello.has_challenge ? withUnsafeBytes(of: hello.challenge) { Array($0) } : nil
    }
}

/// What a WELCOME says.
public struct Welcome: Sendable, Hashable {
    /// 0: a challenge, which stands in `nonce`.
    public let sessionID: UInt32
    public let epoch: UInt64
    public let nonce: [UInt8]
    public let reach: UInt8
    public let top: UInt8
    public let maxBody: UInt16

    public var isChallenge: Bool { sessionID == 0 }

    init(_ welcome: ouro_welcome) {
        sessionID = welcome.session_id
        epoch = welcome.epoch
        nonce = withUnsafeBytes(of: welcome.nonce) { Array($0) }
        reach = welcome.reach
        top = welcome.top
        maxBody = welcome.max_body
    }
}

/// A packet as far as it can be read without a key, by the engine's own decoder.
public struct DecodedPacket: Sendable, Hashable {
    public enum Handshake: Sendable, Hashable {
        case hello(Hello)
        case welcome(Welcome)
    }

    /// What stands there, even when a check fails; nil with fewer than 16 bytes.
    public let header: PacketHeader?
    /// Nil when every check holds.
    public let flaw: Flaw?
    public let handshake: Handshake?

    public init(_ bytes: some Collection<UInt8>, maxBody: Int = 1200) {
        let copy = ContiguousArray(bytes)
        self = copy.withUnsafeBytes { DecodedPacket($0, maxBody: maxBody) }
    }

    public init(_ bytes: UnsafeRawBufferPointer, maxBody: Int = 1200) {
        guard let packet = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) else {
            (header, flaw, handshake) = (nil, .short, nil)
            return
        }
        var raw = ouro_header()
        let flaw = Flaw(ouro_packet_examine(packet, bytes.count, maxBody, &raw))
        header = bytes.count < Int(OURO_HEADER_SIZE) ? nil : PacketHeader(raw, version: bytes[0] >> 4)
        guard flaw == nil, let type = header?.type, type.isHandshake else {
            (self.flaw, handshake) = (flaw, nil)
            return
        }
        let isInRange: Bool
        if type == .hello {
            var hello = ouro_hello()
            isInRange = ouro_hello_read(packet, bytes.count, &hello) == OURO_OK
            handshake = .hello(Hello(hello))
        } else {
            var welcome = ouro_welcome()
            isInRange = ouro_welcome_parse(packet, bytes.count, &welcome) == OURO_OK
            handshake = .welcome(Welcome(welcome))
        }
        self.flaw = isInRange ? nil : .terms
    }

    public var hello: Hello? {
        if case .hello(let hello) = handshake { hello } else { nil }
    }

    public var welcome: Welcome? {
        if case .welcome(let welcome) = handshake { welcome } else { nil }
    }
}
