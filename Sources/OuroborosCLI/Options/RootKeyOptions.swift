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
