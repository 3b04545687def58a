import Ouroboros
import OuroborosText

/// All that a device needs to reach its gateway, as one line: `ouro1:` and Base32 of the credential's blob, the gateway's
/// port (2 bytes, big-endian), the length of its name (1), the name, and the first 4 bytes of the SHA-256 of all that.
///
/// Base32, in which a QR code's letters and digits take two thirds of the room of Base64's, a shell has nothing to quote, a
/// double click selects it all, and case does not count.
public struct DeviceToken: Sendable, Equatable {
    public let credential: Credential
    /// The gateway's name, or its address.
    public let host: String
    public let port: UInt16

    public static let mostHostBytes = 253

    private static let start = "ouro1:"
    private static let hostAt = CredentialBlob.count + 3
    private static let checkCount = 4
    /// Whole bytes, up to the length of the name at least.
    private static let headDigits = (Base32.digits(of: hostAt) + 7) / 8 * 8

    public init(credential: Credential, host: String, port: UInt16) throws {
        guard Self.isName(host), port != 0 else {
            throw OuroborosError(
                .invalidAddress,
                "a token holds the gateway's name, of \(Self.mostHostBytes) bytes at most and without spaces, and its port"
            )
        }
        self.credential = credential
        self.host = host
        self.port = port
    }

    private static func isName(_ host: String) -> Bool {
        (1...mostHostBytes).contains(host.utf8.count)
            && host.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7f }
    }

    /// HOST:PORT.
    public var gateway: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

    // MARK: As text

    public func text() throws -> SecretBytes {
        let blob = blob
        let check = try blob.withUnsafeBytes { try Self.check($0) }
        let bytes = SecretBytes.joined([blob, .copying(check)])
        let startCount = Self.start.utf8.count
        return SecretBytes.filled(count: startCount + Base32.digits(of: bytes.count)) { text in
            text.copyBytes(from: Self.start.utf8)
            bytes.withUnsafeBytes {
                Base32.write($0, to: UnsafeMutableRawBufferPointer(rebasing: text[startCount...]))
            }
        }
    }

    /// Credential and gateway as a microcontroller is given them.
    package var blob: SecretBytes {
        SecretBytes.filled(count: Self.hostAt + host.utf8.count) { bytes in
            CredentialBlob.write(
                credential, to: UnsafeMutableRawBufferPointer(rebasing: bytes[..<CredentialBlob.count]))
            bytes[CredentialBlob.count] = UInt8(port >> 8)
            bytes[CredentialBlob.count + 1] = UInt8(port & 0xff)
            bytes[CredentialBlob.count + 2] = UInt8(host.utf8.count)
            UnsafeMutableRawBufferPointer(rebasing: bytes[Self.hostAt...]).copyBytes(from: host.utf8)
        }
    }

    /// White space around it is ignored.
    public init(_ text: SecretBytes) throws {
        self = try text.withUnsafeBytes { try Self.read($0) }
    }

    private static func read(_ text: UnsafeRawBufferPointer) throws -> DeviceToken {
        let isSpace = { (byte: UInt8) in byte == 0x20 || (0x09...0x0d).contains(byte) }
        let end = text.lastIndex { !isSpace($0) }.map { $0 + 1 } ?? 0
        let line = text[..<end].drop(while: isSpace)
        guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { throw noToken }
        try checkVersion(line[..<colon])
        let digits = UnsafeRawBufferPointer(rebasing: line[(colon + 1)...])
        guard digits.count >= headDigits else { throw cut }
        let head = try bytes(of: UnsafeRawBufferPointer(rebasing: digits[..<headDigits]))
        let nameCount = head.withUnsafeBytes { Int($0[hostAt - 1]) }
        let count = Base32.digits(of: hostAt + nameCount + checkCount)
        guard digits.count >= count else { throw cut }
        guard digits.count == count else { throw changed }
        return try bytes(of: digits).withUnsafeBytes { try read(bytes: $0) }
    }

    private static func bytes(of digits: UnsafeRawBufferPointer) throws -> SecretBytes {
        var isText = false
        let bytes = SecretBytes.filled(count: Base32.bytes(of: digits.count)) {
            isText = Base32.read(digits, to: $0)
        }
        guard isText else { throw changed }
        return bytes
    }

    private static func checkVersion(_ name: Slice<UnsafeRawBufferPointer>) throws {
        let name = String(decoding: name, as: UTF8.self).lowercased()
        guard name.hasPrefix("ouro"), let version = UInt16(name.dropFirst(4)) else { throw noToken }
        guard name + ":" == start else {
            throw OuroborosError(
                .damaged, "the token is of version \(version), and this program knows version 1: update it")
        }
    }

    private static func read(bytes: UnsafeRawBufferPointer) throws -> DeviceToken {
        let bodyCount = bytes.count - checkCount
        let check = try check(UnsafeRawBufferPointer(rebasing: bytes[..<bodyCount]))
        guard check.elementsEqual(bytes[bodyCount...]),
            let host = String(validating: bytes[hostAt..<bodyCount], as: UTF8.self)
        else { throw changed }
        let blob = UnsafeRawBufferPointer(rebasing: bytes[..<CredentialBlob.count])
        guard let credential = CredentialBlob.read(blob), isName(host) else {
            throw OuroborosError(
                .damaged, "the token holds what this version does not know: update this program")
        }
        let port = UInt16(bytes[CredentialBlob.count]) << 8 | UInt16(bytes[CredentialBlob.count + 1])
        return try DeviceToken(credential: credential, host: host, port: port)
    }

    /// Against mistakes alone: whoever can change a token knows its key.
    private static func check(_ body: UnsafeRawBufferPointer) throws -> [UInt8] {
        try LibCrypto.sha256(body).withUnsafeBytes { Array($0.prefix(checkCount)) }
    }

    // MARK: What is wrong

    private static let noToken = OuroborosError(.damaged, "this is no token: one begins with \(start)")
    private static let cut = OuroborosError(
        .damaged, "the token is cut: its end is missing; take the whole line, up to its last character")
    private static let changed = OuroborosError(
        .damaged, "the token was changed on its way: a character is wrong, missing or too many; take it anew")
}

extension DeviceToken: CustomStringConvertible {
    public var description: String { "token of \(credential) at \(gateway)" }
}
