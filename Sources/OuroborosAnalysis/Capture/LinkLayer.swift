/// From a frame of a link to the IP packet in it.
enum LinkLayer {
    /// libpcap's numbers of the link types that are read here; they differ between systems for raw IP.
    private enum Kind {
        static let null: Int32 = 0
        static let ethernet: Int32 = 1
        static let raw: [Int32] = [12, 14, 101, 228, 229]
        static let loop: Int32 = 108
        static let cooked: Int32 = 113
        static let cooked2: Int32 = 276
    }

    static func isKnown(_ type: Int32) -> Bool {
        [Kind.null, Kind.ethernet, Kind.loop, Kind.cooked, Kind.cooked2].contains(type)
            || Kind.raw.contains(type)
    }

    /// Nil for what is no IP.
    static func internetPacket(_ frame: Frame) -> ByteReader? {
        let reader = ByteReader(frame.bytes[...])
        switch frame.linkType {
        case Kind.ethernet: return ethernet(reader)
        case Kind.cooked: return cooked(reader)
        case Kind.cooked2: return cooked2(reader)
        // The family of the first four bytes has another number, and order, on each system; IP says its version.
        case Kind.null, Kind.loop: return reader.dropping(4)
        case let type where Kind.raw.contains(type): return reader
        default: return nil
        }
    }

    private static func isInternet(_ type: UInt16?) -> Bool {
        type == 0x0800 || type == 0x86dd
    }

    private static func ethernet(_ reader: ByteReader) -> ByteReader? {
        var offset = 12
        // Tags of 802.1Q and 802.1ad.
        while let type = reader.u16(at: offset), type == 0x8100 || type == 0x88a8, offset < 28 {
            offset += 4
        }
        return isInternet(reader.u16(at: offset)) ? reader.dropping(offset + 2) : nil
    }

    /// On loopback everything comes twice, as outgoing and as incoming: once is enough.
    private static func isEcho(hardware: UInt16?, direction: UInt8?) -> Bool {
        hardware == 772 && direction == 4
    }

    private static func cooked(_ reader: ByteReader) -> ByteReader? {
        guard isInternet(reader.u16(at: 14)),
            !isEcho(hardware: reader.u16(at: 2), direction: reader.byte(at: 1))
        else { return nil }
        return reader.dropping(16)
    }

    private static func cooked2(_ reader: ByteReader) -> ByteReader? {
        guard isInternet(reader.u16(at: 0)),
            !isEcho(hardware: reader.u16(at: 8), direction: reader.byte(at: 10))
        else { return nil }
        return reader.dropping(20)
    }
}
