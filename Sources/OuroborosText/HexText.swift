import Ouroboros

extension Hex {
    /// A number, with zeros before it when it has fewer digits.
    package static func string(_ number: UInt64, digits count: Int) -> String {
        let text = String(number, radix: 16)
        return String(repeating: "0", count: max(0, count - text.utf8.count)) + text
    }

    /// The bytes; white space and colons between the digits are ignored. Nil for anything else.
    package static func bytes(_ text: String) -> [UInt8]? {
        let digits = text.utf8.filter { $0 != UInt8(ascii: ":") && $0 != 0x20 && !(0x09...0x0d).contains($0) }
        let nibbles = digits.compactMap(value(of:))
        guard nibbles.count == digits.count, nibbles.count % 2 == 0 else { return nil }
        return stride(from: 0, to: nibbles.count, by: 2).map { nibbles[$0] << 4 | nibbles[$0 + 1] }
    }
}
