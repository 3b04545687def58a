import LibC
import Ouroboros

/// Where a key-encryption key comes from: a file, a variable of the environment or, without either, systemd's
/// credential.
package struct KeyEncryption: Sendable {
    private static let credential = "ouroboros-kek"

    private let file: String?
    private let environment: String?

    package init(file: String?, environment: String?) {
        self.file = file
        self.environment = environment
    }

    /// Nil when there is none: keys are not sealed then.
    package func key() throws -> SecretKey? {
        switch (file, environment) {
        case (let path?, nil): return try KeyFiles.read(path)
        case (nil, let name?): return try KeyFiles.environment(name)
        case (_?, _?):
            throw OuroborosError(
                .invalidConfiguration, "give one of --kek-file and --kek-env, not both")
        case (nil, nil):
            guard let directory = getenv("CREDENTIALS_DIRECTORY") else { return nil }
            let path = String(cString: directory) + "/" + Self.credential
            return PrivateFile.exists(path) ? try KeyFiles.read(path) : nil
        }
    }
}
