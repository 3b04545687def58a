import ArgumentParser
import Ouroboros
import OuroborosStore

struct FleetKeyOptions: ParsableArguments {
    @Option(help: "A file with the fleet's key, readable by its owner alone.")
    var fleetKeyFile: String?

    @Option(help: "The environment variable that holds the fleet's key.")
    var fleetKeyEnv: String?

    var isGiven: Bool { fleetKeyFile != nil || fleetKeyEnv != nil }

    /// Nil when there is none.
    func key() throws -> SecretKey? {
        try SecretSource.given(file: fleetKeyFile, environment: fleetKeyEnv, option: "fleet-key")?.key()
    }
}
