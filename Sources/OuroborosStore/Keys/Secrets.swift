import Ouroboros

/// Passwords, tokens and passphrases, which are files of one line that their owner alone may read.
package enum Secrets {
    private static let mostBytes = 4096

    /// The line's bytes, for the caller to erase.
    package static func line(of path: String) throws -> [UInt8] {
        var bytes = try passphrase(path)
        guard !bytes.isEmpty, bytes.allSatisfy({ (0x20..<0x7f).contains($0) }) else {
            Erasing.erase(&bytes)
            throw OuroborosError(
                .storage, "“\(path)” is to hold one line of printable ASCII characters, the secret")
        }
        return bytes
    }

    /// Whatever stands there without the end of its line, for the caller to erase.
    package static func passphrase(_ path: String) throws -> [UInt8] {
        var bytes = try PrivateFile.read(path, atMost: mostBytes)
        while let last = bytes.last, last == 0x0a || last == 0x0d {
            bytes.removeLast()
        }
        return bytes
    }
}
