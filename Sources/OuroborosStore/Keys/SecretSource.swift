import LibC
import Ouroboros

/// Where a secret comes from. It never stands on a command line, which others can read.
package enum SecretSource: Sendable {
    /// Read whenever it is needed.
    case file(String)
    /// The environment's.
    case variable(String)
    /// What came through a pipe or another descriptor, where it comes once.
    case kept(SecretBytes, from: String)

    private static let mostBytes = 4096

    /// What `--OPTION-file` and `--OPTION-env` say; nil when neither is given.
    package static func given(
        file: String?, environment: String?, option: String
    ) throws -> SecretSource? {
        switch (file, environment) {
        case (nil, nil): return nil
        case (let path?, nil): return try given(file: path)
        case (nil, let name?): return .variable(name)
        case (_?, _?):
            throw OuroborosError(
                .invalidConfiguration, "give one of --\(option)-file and --\(option)-env, not both")
        }
    }

    package static func given(file path: String) throws -> SecretSource {
        PrivateFile.comesOnce(path)
            ? .kept(try PrivateFile.read(path, atMost: mostBytes), from: path) : .file(path)
    }

    /// For messages.
    package var name: String {
        switch self {
        case .file(let path), .kept(_, let path): "“\(path)”"
        case .variable(let name): "the variable \(name)"
        }
    }

    /// As it stands there.
    package func bytes() throws -> SecretBytes {
        switch self {
        case .file(let path): return try PrivateFile.read(path, atMost: Self.mostBytes)
        case .kept(let bytes, _): return bytes
        case .variable(let name):
            guard let value = getenv(name) else {
                throw OuroborosError(.invalidKey, "the environment has no variable \(name)")
            }
            return .copying(UnsafeRawBufferPointer(start: value, count: strlen(value)))
        }
    }

    package func key() throws -> SecretKey {
        let bytes = try bytes()
        do {
            return try bytes.withUnsafeBytes { (digits) throws(OuroborosError) in try SecretKey(hex: digits) }
        } catch {
            throw OuroborosError(error.code, "\(name): \(error.message)")
        }
    }

    /// Without the end of its line.
    package func passphrase() throws -> SecretBytes {
        try bytes().withUnsafeBytes { bytes in
            let last = bytes.lastIndex { $0 != 0x0a && $0 != 0x0d }
            return SecretBytes.copying(bytes[..<(last.map { $0 + 1 } ?? 0)])
        }
    }

    /// A password or a token: one line.
    package func line() throws -> SecretBytes {
        let bytes = try passphrase()
        let isText = bytes.withUnsafeBytes { line in
            !line.isEmpty && line.allSatisfy { (0x20..<0x7f).contains($0) }
        }
        guard isText else {
            throw OuroborosError(
                .storage, "\(name) is to hold one line of printable ASCII characters, the secret")
        }
        return bytes
    }
}
