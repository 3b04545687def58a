import Ouroboros

/// One JSON object, its members in the order they are added.
package struct JSONLine {
    package init() {}

    package private(set) var bytes: [UInt8] = [UInt8(ascii: "{")]

    package mutating func add(_ name: String, _ value: some BinaryInteger) {
        begin(name)
        bytes.append(contentsOf: String(value).utf8)
    }

    /// A number with so many decimals; one that is no number is null.
    package mutating func add(_ name: String, _ value: Double, decimals: Int) {
        begin(name)
        guard value.isFinite, abs(value) < 1e15 else {
            bytes.append(contentsOf: "null".utf8)
            return
        }
        bytes.append(contentsOf: Decimal.text(value, decimals).utf8)
    }

    package mutating func add(_ name: String, _ value: Bool) {
        begin(name)
        bytes.append(contentsOf: (value ? "true" : "false").utf8)
    }

    package mutating func add(_ name: String, _ value: String) {
        begin(name)
        append(quoted: value)
    }

    package mutating func add(_ name: String, _ values: [String]) {
        begin(name)
        bytes.append(UInt8(ascii: "["))
        for (index, value) in values.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            append(quoted: value)
        }
        bytes.append(UInt8(ascii: "]"))
    }

    package func finished() -> [UInt8] {
        bytes + [UInt8(ascii: "}")]
    }

    private mutating func begin(_ name: String) {
        if bytes.count > 1 {
            bytes.append(UInt8(ascii: ","))
        }
        append(quoted: name)
        bytes.append(UInt8(ascii: ":"))
    }

    private mutating func append(quoted text: String) {
        bytes.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes += [UInt8(ascii: "\\"), byte]
            case 0x0a: bytes += Array("\\n".utf8)
            case 0x0d: bytes += Array("\\r".utf8)
            case 0x09: bytes += Array("\\t".utf8)
            case 0..<0x20, 0x7f: bytes += Array("\\u00".utf8) + Hex.digits(of: [byte])
            default: bytes.append(byte)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }
}
