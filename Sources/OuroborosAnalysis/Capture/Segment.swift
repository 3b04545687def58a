/// A UDP datagram or a TCP segment.
struct Segment {
    struct Stream {
        let sequence: UInt32
        let isSyn: Bool
        let isEnd: Bool
    }

    let source: Endpoint
    let destination: Endpoint
    let payload: ArraySlice<UInt8>
    /// The payload's length on the link: more than there is when the capture cut it.
    let length: Int
    /// Nil for UDP.
    let stream: Stream?

    var isCut: Bool { payload.count < length }
}

/// From an IP packet to what it carries.
enum InternetLayer {
    enum Content {
        case segment(Segment)
        /// A part of an IP packet: these are not put together.
        case fragment
        case other
    }

    static func content(_ packet: ByteReader) -> Content {
        switch packet.byte(at: 0).map({ $0 >> 4 }) {
        case 4: v4(packet)
        case 6: v6(packet)
        default: .other
        }
    }

    private static func v4(_ packet: ByteReader) -> Content {
        guard let first = packet.byte(at: 0), let total = packet.u16(at: 2), let part = packet.u16(at: 6),
            let proto = packet.byte(at: 9), let source = packet.bytes(at: 12, count: 4),
            let destination = packet.bytes(at: 16, count: 4)
        else { return .other }
        let headerSize = Int(first & 15) * 4
        // Bit 13 says that more follow, the lower bits where this one lies.
        guard part & 0x3fff == 0 else { return .fragment }
        // A length of 0 is one that the network card fills in.
        let length = total == 0 ? packet.count : Int(total)
        guard headerSize >= 20, length >= headerSize, let rest = packet.dropping(headerSize) else {
            return .other
        }
        return transport(proto, rest, length: length - headerSize, source, destination)
    }

    private static func v6(_ packet: ByteReader) -> Content {
        guard let payload = packet.u16(at: 4), var proto = packet.byte(at: 6),
            let source = packet.bytes(at: 8, count: 16), let destination = packet.bytes(at: 24, count: 16),
            var rest = packet.dropping(40)
        else { return .other }
        var length = payload == 0 ? rest.count : Int(payload)
        // Hop-by-hop, routing, fragment and destination headers; more than a few are nobody's.
        for _ in 0..<8 {
            guard [0, 43, 44, 60].contains(proto) else {
                return transport(proto, rest, length: length, source, destination)
            }
            guard let following = rest.byte(at: 0), let units = rest.byte(at: 1) else { return .other }
            if proto == 44, rest.u16(at: 2).map({ $0 & 0xfff9 }) != 0 { return .fragment }
            let size = proto == 44 ? 8 : (Int(units) + 1) * 8
            guard let after = rest.dropping(size), length >= size else { return .other }
            (proto, rest, length) = (following, after, length - size)
        }
        return .other
    }

    private static func transport(
        _ proto: UInt8, _ packet: ByteReader, length: Int, _ source: [UInt8], _ destination: [UInt8]
    ) -> Content {
        let reader = packet.limited(to: length)
        guard let from = reader.u16(at: 0), let to = reader.u16(at: 2) else { return .other }
        let (source, destination) = (
            Endpoint(address: source, port: from), Endpoint(address: destination, port: to)
        )
        switch proto {
        case 17:
            guard let size = reader.u16(at: 4), size >= 8, Int(size) <= length,
                let payload = reader.limited(to: Int(size)).dropping(8)
            else { return .other }
            return .segment(
                Segment(
                    source: source, destination: destination, payload: payload.rest, length: Int(size) - 8,
                    stream: nil))
        case 6:
            guard let sequence = reader.u32(at: 4),
                let offset = reader.byte(at: 12).map({ Int($0 >> 4) * 4 }),
                let flags = reader.byte(at: 13), offset >= 20, offset <= length,
                let payload = reader.dropping(offset)
            else { return .other }
            return .segment(
                Segment(
                    source: source, destination: destination, payload: payload.rest, length: length - offset,
                    stream: .init(sequence: sequence, isSyn: flags & 2 != 0, isEnd: flags & 5 != 0)))
        default:
            return .other
        }
    }
}
