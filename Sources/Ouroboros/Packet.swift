internal import COuroboros

/// What a transport reads off a packet before any key is touched.
public enum Packet {
    /// The largest packet there is.
    public static let maximumSize = Int(OURO_MAX_PACKET)

    /// The session that a packet belongs to; 0 for HELLO, a challenge, and what is no packet.
    public static func sessionID(of packet: UnsafeRawBufferPointer) -> UInt32 {
        guard let bytes = packet.octets else { return 0 }
        return ouro_packet_session_id(bytes, packet.count)
    }

    /// The handshake of a HELLO or WELCOME goes over a stream; what is of no session and comes another way is dropped.
    public static func isForStream(_ packet: UnsafeRawBufferPointer) -> Bool {
        packet.count > 1 && packet[1] & UInt8(OURO_FLAG_STREAM) != 0
    }

    static func isHello(_ packet: UnsafeRawBufferPointer) -> Bool {
        guard let first = packet.first else { return false }
        return first & 0x0f == UInt8(OURO_HELLO.rawValue)
    }

    /// The device that a HELLO claims to come from: nothing is verified yet.
    public static func claimedDevice(ofHello packet: UnsafeRawBufferPointer) -> DeviceID? {
        guard let bytes = packet.octets else { return nil }
        var hello = ouro_hello()
        guard ouro_hello_read(bytes, packet.count, &hello) == OURO_OK else { return nil }
        return withUnsafeBytes(of: hello.device_id) { try? DeviceID($0) }
    }
}
