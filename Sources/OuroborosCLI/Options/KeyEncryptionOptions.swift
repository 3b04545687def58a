import ArgumentParser
import LibC
import Ouroboros
import OuroborosStore

/// The key-encryption key (KEK) under which a store's keys are sealed.
struct KeyEncryptionOptions: ParsableArguments {
    @Option(
        help: """
            A file with the key-encryption key, 64 hexadecimal digits, readable by its owner alone: keys are stored \
            sealed under it. Without this and --kek-env, systemd's credential ouroboros-kek is used, if there is one.
            """)
    var kekFile: String?

    @Option(help: "The environment variable that holds the key-encryption key.")
    var kekEnv: String?

    /// Nil when there is none: keys are not sealed then.
    func key() throws -> SecretKey? {
        try KeyEncryption.key(file: kekFile, environment: kekEnv)
    }
}

/// Where a key-encryption key comes from.
enum KeyEncryption {
    private static let credential = "ouroboros-kek"

    static func key(file: String?, environment: String?) throws -> SecretKey? {
        switch (file, environment) {
        case (let path?, nil): return try KeyFiles.read(path)
        case (nil, let name?): return try KeyFiles.environment(name)
        case (_?, _?):
            throw OuroborosError(
                .invalidConfiguration, "give one of --kek-file and --kek-env, not both")
        case (nil, nil):
            guard let directory = getenv("CREDENTIALS_DIRECTORY") else { return nil }
            let path = String(cString: directory) + "/" + credential
            return PrivateFile.exists(path) ? try KeyFiles.read(path) : nil
        }
    }
}
