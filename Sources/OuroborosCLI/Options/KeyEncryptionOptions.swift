import ArgumentParser
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
        try KeyEncryption(file: kekFile, environment: kekEnv).key()
    }
}
