import ArgumentParser
import Ouroboros
import OuroborosStore

extension DeviceCommand {
    struct Backup: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Copies a store to a new file, beside a gateway that runs.",
            discussion: """
                The copy is readable by its owner alone, holds keys as the store does, sealed or not, and is never \
                written over another file.
                """)

        @Option(help: "The gateway's store, an SQLite file.")
        var store: String

        @Argument(help: "The file to write.")
        var file: String

        func run() throws {
            try GatewayStore.open(store).backUp(to: file)
        }
    }
}
