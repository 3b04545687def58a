import LibC
import Ouroboros

/// Keys come from files and the environment, never from the command line, which others can read.
package enum KeyFiles {
    package static func read(_ path: String) throws -> SecretKey {
        let bytes = try PrivateFile.read(path, atMost: 256)
        do {
            return try bytes.withUnsafeBytes { (digits) throws(OuroborosError) in try SecretKey(hex: digits) }
        } catch {
            throw OuroborosError(error.code, "“\(path)”: \(error.message)")
        }
    }

    package static func environment(_ name: String) throws -> SecretKey {
        guard let value = getenv(name) else {
            throw OuroborosError(.invalidKey, "the environment has no variable \(name)")
        }
        do {
            let digits = UnsafeRawBufferPointer(start: value, count: strlen(value))
            return try SecretKey(hex: digits)
        } catch {
            throw OuroborosError(error.code, "the variable \(name): \(error.message)")
        }
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
