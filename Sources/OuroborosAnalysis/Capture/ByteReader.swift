/// Reads from the front of bytes that anybody may have made: what is not there is nil.
struct ByteReader {
    private(set) var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) {
        rest = bytes
    }

    var count: Int { rest.count }

    func byte(at offset: Int) -> UInt8? {
        offset >= 0 && offset < rest.count ? rest[rest.startIndex + offset] : nil
    }

    func u16(at offset: Int) -> UInt16? {
        guard let high = byte(at: offset), let low = byte(at: offset + 1) else { return nil }
        return UInt16(high) << 8 | UInt16(low)
    }

    func u32(at offset: Int) -> UInt32? {
        guard let high = u16(at: offset), let low = u16(at: offset + 2) else { return nil }
        return UInt32(high) << 16 | UInt32(low)
    }

    func bytes(at offset: Int, count: Int) -> [UInt8]? {
        guard offset >= 0, count >= 0, offset + count <= rest.count else { return nil }
        return Array(rest.dropFirst(offset).prefix(count))
    }

    /// Nil when there are not so many.
    func dropping(_ count: Int) -> ByteReader? {
        count >= 0 && count <= rest.count ? ByteReader(rest.dropFirst(count)) : nil
    }

    /// At most so many: what follows is padding of the link.
    func limited(to count: Int) -> ByteReader {
        ByteReader(rest.prefix(max(0, count)))
    }
}
