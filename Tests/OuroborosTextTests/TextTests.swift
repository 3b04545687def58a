import Ouroboros
import OuroborosText
import Testing

@Suite struct TextTests {
    @Test func aLineHoldsWhateverItIsGiven() {
        var line = JSONLine()
        line.add("text", "a\"b\\c\n\r\t\u{1}\u{7f}é")
        line.add("number", -7)
        line.add("half", 0.5, decimals: 2)
        line.add("none", Double.nan, decimals: 2)
        line.add("list", ["x", ""])
        line.add("is", true)
        #expect(
            String(decoding: line.finished(), as: UTF8.self)
                == #"{"text":"a\"b\\c\n\r\t\u0001\u007fé","number":-7,"half":0.50,"none":null,"list":["x",""],"is":true}"#
        )
        #expect(JSONLine().finished() == Array("{}".utf8))
    }

    /// RFC 4648, section 10.
    @Test(arguments: [
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ])
    func base64(text: String, expected: String) {
        #expect(Base64.string(of: Array(text.utf8)) == expected)
    }

    /// The same.
    @Test(arguments: [
        ("", ""), ("f", "my"), ("fo", "mzxq"), ("foo", "mzxw6"), ("foob", "mzxw6yq"), ("fooba", "mzxw6ytb"),
        ("foobar", "mzxw6ytboi"),
    ])
    func base32(text: String, expected: String) {
        let bytes = Array(text.utf8)
        var digits = [UInt8](repeating: 0, count: Base32.digits(of: bytes.count))
        bytes.withUnsafeBytes { bytes in digits.withUnsafeMutableBytes { Base32.write(bytes, to: $0) } }
        #expect(String(decoding: digits, as: UTF8.self) == expected)
        #expect(read(base32: expected) == bytes)
        #expect(read(base32: expected.uppercased()) == bytes)
    }

    /// Bits that are left over, or too few, and what is no digit.
    @Test(arguments: ["a", "mzx", "mzxw6y", "mz", "mzxx", "m1", "m=======", "mé"])
    func whatIsNoBase32(text: String) {
        #expect(read(base32: text) == nil)
    }

    private func read(base32 text: String) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: Base32.bytes(of: text.utf8.count))
        let isRead = Array(text.utf8).withUnsafeBytes { digits in
            bytes.withUnsafeMutableBytes { Base32.read(digits, to: $0) }
        }
        return isRead ? bytes : nil
    }

    @Test(arguments: [
        (0, 0, "0"), (1.25, 1, "1.3"), (-0.04, 1, "0.0"), (-1.5, 2, "-1.50"), (0.999, 2, "1.00"),
        (12.007, 3, "12.007"),
    ])
    func decimals(number: Double, count: Int, expected: String) {
        #expect(Decimal.text(number, count) == expected)
    }

    @Test func hexadecimalIsTakenAsPeopleWriteIt() {
        #expect(Hex.bytes(" 00:fF\n10 ") == [0, 255, 16])
        #expect(Hex.bytes("0") == nil)
        #expect(Hex.bytes("0x00") == nil)
        #expect(Hex.bytes("") == [])
        #expect(Hex.string(of: [0, 0xff, 0x1a]) == "00ff1a")
        #expect(Hex.string(0xab, digits: 4) == "00ab")
        #expect(Hex.string(0xabcd, digits: 2) == "abcd")
    }

    @Test func timesInUTC() {
        #expect(WallClock.string(seconds: 0) == "1970-01-01T00:00:00Z")
        // 2024 is a leap year.
        #expect(WallClock.string(milliseconds: 1_709_251_199_007) == "2024-02-29T23:59:59.007Z")
    }

    @Test func timesAsUsersWriteThem() {
        let times: [(String, Duration)] = [
            ("500ms", .milliseconds(500)), ("1s", .seconds(1)), ("2.5s", .milliseconds(2500)),
            ("3", .seconds(3)),
            ("5m", .seconds(300)), ("24h", .seconds(86_400)),
        ]
        for (text, expected) in times {
            #expect(Duration(written: text) == expected, "\(text)")
        }
        for text in ["", "s", "-1s", "1d", "0s", "1e3", "1 s", "99999999999h"] {
            #expect(Duration(written: text) == nil, "\(text)")
        }
        #expect(Duration.nanoseconds(1_999_999).milliseconds == 1)
    }
}
