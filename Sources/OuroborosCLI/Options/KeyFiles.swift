import ArgumentParser
import LibC
import Ouroboros
import OuroborosStore

/// Keys come from files and the environment, never from the command line, which others can read.
enum KeyFiles {
    static func read(_ path: String) throws -> SecretKey {
        var bytes = try PrivateFile.read(path, atMost: 256)
        defer { Erasing.erase(&bytes) }
        do {
            return try SecretKey(hex: bytes)
        } catch {
            throw OuroborosError(error.code, "“\(path)”: \(error.message)")
        }
    }

    static func environment(_ name: String) throws -> SecretKey {
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

    /// What stands in a file of the user's own, without the end of its line.
    static func passphrase(_ path: String) throws -> [UInt8] {
        var bytes = try PrivateFile.read(path, atMost: 4096)
        while let last = bytes.last, last == 0x0a || last == 0x0d {
            bytes.removeLast()
        }
        return bytes
    }

    /// A line with the key, for a file of its own.
    static func write(_ key: SecretKey, toNew path: String) throws {
        var line = hex(key) + [UInt8(ascii: "\n")]
        defer { Erasing.erase(&line) }
        try PrivateFile.write(line, toNew: path)
    }

    static func hex(_ key: SecretKey) -> [UInt8] {
        let digits = Array("0123456789abcdef".utf8)
        return key.withUnsafeBytes { $0.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] } }
    }
}

struct RootKeyOptions: ParsableArguments {
    @Option(help: "A file with the device's root key, 64 hexadecimal digits, readable by its owner alone.")
    var rootKeyFile: String?

    @Option(help: "The environment variable that holds the root key.")
    var rootKeyEnv: String?

    var isGiven: Bool { rootKeyFile != nil || rootKeyEnv != nil }

    func rootKey() throws -> RootKey {
        switch (rootKeyFile, rootKeyEnv) {
        case (let path?, nil): return try KeyFiles.read(path)
        case (nil, let name?): return try KeyFiles.environment(name)
        case (nil, nil):
            throw OuroborosError(
                .invalidConfiguration, "the root key is missing: give --root-key-file or --root-key-env")
        case (_?, _?):
            throw OuroborosError(
                .invalidConfiguration, "give one of --root-key-file and --root-key-env, not both")
        }
    }
}
