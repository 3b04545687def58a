import ArgumentParser
import Ouroboros
import OuroborosStore

struct RootKeyOptions: ParsableArguments {
    @Option(help: "A file with the device's root key, 64 hexadecimal digits, readable by its owner alone.")
    var rootKeyFile: String?

    @Option(help: "The environment variable that holds the root key.")
    var rootKeyEnv: String?

    var isGiven: Bool { rootKeyFile != nil || rootKeyEnv != nil }

    func rootKey() throws -> RootKey {
        guard
            let source = try SecretSource.given(
                file: rootKeyFile, environment: rootKeyEnv, option: "root-key")
        else {
            throw OuroborosError(
                .invalidConfiguration, "the root key is missing: give --root-key-file or --root-key-env")
        }
        return try source.key()
    }
}
