import LibC
import Ouroboros

/// Keys come from files and the environment, never from the command line, which others can read.
package enum KeyFiles {
    package static func read(_ path: String) throws -> SecretKey {
        var bytes = try PrivateFile.read(path, atMost: 256)
        defer { Erasing.erase(&bytes) }
        do {
            return try SecretKey(hex: bytes)
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
        var line = digits(of: key) + [UInt8(ascii: "\n")]
        defer { Erasing.erase(&line) }
        try PrivateFile.write(line, toNew: path)
    }

    package static func digits(of key: SecretKey) -> [UInt8] {
        key.withUnsafeBytes { Hex.digits(of: $0) }
    }
}
