import LibC
import Ouroboros

/// Where a key-encryption key comes from: a file, a variable of the environment or, without either, systemd's
/// credential.
package struct KeyEncryption: Sendable {
    private static let credential = "ouroboros-kek"

    private let source: SecretSource?

    package init(file: String?, environment: String?) throws {
        source = try .given(file: file, environment: environment, option: "kek")
    }

    /// Nil when there is none: keys are not sealed then.
    package func key() throws -> SecretKey? {
        if let source { return try source.key() }
        guard let directory = getenv("CREDENTIALS_DIRECTORY") else { return nil }
        let path = String(cString: directory) + "/" + Self.credential
        return PrivateFile.exists(path) ? try KeyFiles.read(path) : nil
    }
}
