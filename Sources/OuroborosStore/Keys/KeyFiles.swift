import Ouroboros

/// Keys as files.
package enum KeyFiles {
    package static func read(_ path: String) throws -> SecretKey {
        try SecretSource.given(file: path).key()
    }

    /// A line with the key, for a file of its own.
    package static func write(_ key: SecretKey, toNew path: String) throws {
        try PrivateFile.write(line(of: key), toNew: path)
    }

    /// Its digits and the end of the line.
    package static func line(of key: SecretKey) -> SecretBytes {
        SecretBytes.filled(count: 2 * SecretKey.byteCount + 1) { line in
            key.withUnsafeBytes { Hex.write($0, to: line) }
            line[line.count - 1] = UInt8(ascii: "\n")
        }
    }
}
