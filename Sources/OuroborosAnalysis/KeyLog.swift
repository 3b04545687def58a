import Ouroboros
import OuroborosText

/// The lines of a key log: the two secrets of a session each, for those who analyse a capture.
///
///     OUROBOROS_SESSION_V1 <nonce_c> <session id> <K_c2s> <K_s2c>
public enum KeyLog {
    static let label = "OUROBOROS_SESSION_V1"
    private static let newline = UInt8(ascii: "\n")

    /// The line of a session, with its end.
    public static func line(_ keys: SessionKeys) -> SecretBytes {
        let id = Hex.string(UInt64(keys.sessionID), digits: 8)
        let start = "\(label) \(Hex.string(of: keys.nonce)) \(id) ".utf8
        let digits = 2 * SecretKey.byteCount
        return SecretBytes.filled(count: start.count + 2 * (digits + 1)) { line in
            line.copyBytes(from: start)
            var at = start.count
            for (key, end) in [(keys.clientToServer, UInt8(ascii: " ")), (keys.serverToClient, newline)] {
                key.withUnsafeBytes {
                    Hex.write($0, to: UnsafeMutableRawBufferPointer(rebasing: line[at..<at + digits]))
                }
                line[at + digits] = end
                at += digits + 1
            }
        }
    }

    /// Lines of other labels, and comments, are left out; a line of ours that does not parse is an error.
    public static func parse(_ text: UnsafeRawBufferPointer) throws -> [SessionKeys] {
        var all: [SessionKeys] = []
        for (index, line) in text.split(separator: newline, omittingEmptySubsequences: false).enumerated() {
            let fields = line.split { $0 == UInt8(ascii: " ") || $0 == 0x09 || $0 == 0x0d }
            guard fields.first.map({ $0.elementsEqual(label.utf8) }) == true else { continue }
            guard let keys = parse(fields) else {
                // What stands in the line is a key: it is not repeated.
                throw OuroborosError(.damaged, "line \(index + 1) of the key log is no line of a key log")
            }
            all.append(keys)
        }
        return all
    }

    private static func parse(_ fields: [Slice<UnsafeRawBufferPointer>]) -> SessionKeys? {
        func text(_ index: Int) -> String { String(decoding: fields[index], as: UTF8.self) }
        guard fields.count == 5, let nonce = Hex.bytes(text(1)), nonce.count == 16,
            let id = UInt32(text(2), radix: 16), let up = try? SecretKey(hex: fields[3]),
            let down = try? SecretKey(hex: fields[4])
        else { return nil }
        return SessionKeys(sessionID: id, nonce: nonce, clientToServer: up, serverToClient: down)
    }
}
