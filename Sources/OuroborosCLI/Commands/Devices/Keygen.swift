import ArgumentParser
import Ouroboros
import OuroborosStore
import OuroborosText

struct Keygen: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Makes a key, for one device or for a fleet.",
        discussion: """
            The key is 32 bytes from the system's random source, written as 64 hexadecimal digits. A file is \
            readable by its owner alone and is never overwritten. With --fleet-key-file and --device the root \
            key of a device of that fleet is derived instead.
            """)

    @Option(help: "The file to write; without it the key is printed.")
    var out: String?

    @OptionGroup var fleet: FleetKeyOptions

    @Option(help: "The device of the fleet, 16 hexadecimal digits.")
    var device: String?

    func run() throws {
        let key: SecretKey
        switch (try fleet.key(), device) {
        case (nil, nil): key = .random()
        case (let fleet?, let device?):
            key = try fleet.rootKey(of: DeviceID(hex: device))
        default:
            throw OuroborosError(.invalidConfiguration, "--fleet-key-file and --device go together")
        }
        if let out {
            try KeyFiles.write(key, toNew: out)
        } else {
            try Output.write(KeyFiles.line(of: key))
        }
    }
}
