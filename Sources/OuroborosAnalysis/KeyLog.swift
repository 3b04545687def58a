import Ouroboros
import OuroborosText

/// The lines of a key log: the two secrets of a session each, for those who analyse a capture.
///
///     OUROBOROS_SESSION_V1 <nonce_c> <session id> <K_c2s> <K_s2c>
public enum KeyLog {
    static let label = "OUROBOROS_SESSION_V1"

    public static func line(_ keys: SessionKeys) -> String {
        let id = Hex.string(UInt64(keys.sessionID), digits: 8)
        let secrets = [keys.clientToServer, keys.serverToClient].map { key in
            key.withUnsafeBytes { Hex.string(of: $0) }
        }
        return ([label, Hex.string(of: keys.nonce), id] + secrets).joined(separator: " ")
    }

    /// Lines of other labels, and comments, are left out; a line of ours that does not parse is an error.
    public static func parse(_ text: String) throws -> [SessionKeys] {
        var all: [SessionKeys] = []
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let fields = line.split { $0 == " " || $0 == "\t" || $0 == "\r" }
            guard fields.first == Substring(label) else { continue }
            guard let keys = parse(fields) else {
                // What stands in the line is a key: it is not repeated.
                throw OuroborosError(.damaged, "line \(index + 1) of the key log is no line of a key log")
            }
            all.append(keys)
        }
        return all
    }

    private static func parse(_ fields: [Substring]) -> SessionKeys? {
        guard fields.count == 5, let nonce = Hex.bytes(String(fields[1])), nonce.count == 16,
            let id = UInt32(fields[2], radix: 16), let up = try? SecretKey(hex: Array(fields[3].utf8)),
            let down = try? SecretKey(hex: Array(fields[4].utf8))
        else { return nil }
        return SessionKeys(sessionID: id, nonce: nonce, clientToServer: up, serverToClient: down)
    }
}
