import Ouroboros

/// Passwords, tokens and passphrases, which are files of one line that their owner alone may read.
package enum Secrets {
    private static let mostBytes = 4096

    /// The line, without its end.
    package static func line(of path: String) throws -> SecretBytes {
        let bytes = try passphrase(path)
        let isText = bytes.withUnsafeBytes { line in
            !line.isEmpty && line.allSatisfy { (0x20..<0x7f).contains($0) }
        }
        guard isText else {
            throw OuroborosError(
                .storage, "“\(path)” is to hold one line of printable ASCII characters, the secret")
        }
        return bytes
    }

    /// Whatever stands there without the end of its line.
    package static func passphrase(_ path: String) throws -> SecretBytes {
        try PrivateFile.read(path, atMost: mostBytes).withUnsafeBytes { bytes in
            let last = bytes.lastIndex { $0 != 0x0a && $0 != 0x0d }
            return SecretBytes.copying(bytes[..<(last.map { $0 + 1 } ?? 0)])
        }
    }
}
