/// Base32 (RFC 4648, 6) in lower-case letters, without padding. It writes to, and reads from, where a secret is erased.
package enum Base32 {
    /// The digits of so many bytes.
    package static func digits(of byteCount: Int) -> Int { (8 * byteCount + 4) / 5 }

    /// The bytes of so many digits.
    package static func bytes(of digitCount: Int) -> Int { 5 * digitCount / 8 }

    /// `text` has room for all digits.
    package static func write(_ bytes: UnsafeRawBufferPointer, to text: UnsafeMutableRawBufferPointer) {
        for index in 0..<digits(of: bytes.count) {
            let (place, offset) = (5 * index / 8, 5 * index % 8)
            let next = place + 1 < bytes.count ? bytes[place + 1] : 0
            let window = UInt16(bytes[place]) << 8 | UInt16(next)
            text[index] = digit(of: UInt8(truncatingIfNeeded: window >> UInt16(11 - offset)) & 31)
        }
    }

    /// Digits of either case, to `bytes`, which has room for all; false for what is none.
    package static func read(_ text: UnsafeRawBufferPointer, to bytes: UnsafeMutableRawBufferPointer) -> Bool
    {
        var (group, bits, place) = (UInt32(0), UInt32(0), 0)
        for digit in text {
            guard let value = value(of: digit) else { return false }
            group = group << 5 | UInt32(value)
            bits += 5
            if bits >= 8 {
                bits -= 8
                bytes[place] = UInt8(truncatingIfNeeded: group >> bits)
                place += 1
            }
        }
        // What is left over of the last digit is 0, so that bytes have one text.
        return bits < 5 && group & (1 << bits - 1) == 0
    }

    private static func value(of digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "a")...UInt8(ascii: "z"): digit - UInt8(ascii: "a")
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): digit - UInt8(ascii: "A")
        case UInt8(ascii: "2")...UInt8(ascii: "7"): digit - UInt8(ascii: "2") + 26
        default: nil
        }
    }

    private static func digit(of value: UInt8) -> UInt8 {
        value < 26 ? UInt8(ascii: "a") + value : UInt8(ascii: "2") + value - 26
    }
}
