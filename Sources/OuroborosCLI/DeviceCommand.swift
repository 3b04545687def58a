import ArgumentParser
import Ouroboros
import OuroborosStore

struct DeviceCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "device", abstract: "The devices that a gateway knows.",
        subcommands: [Add.self, List.self, Remove.self])

    struct StoreOption: ParsableArguments {
        @Option(help: "The gateway's store, an SQLite file.")
        var store: String
    }

    struct Add: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Adds a device; makes the store at first.")

        @OptionGroup var store: StoreOption
        @OptionGroup var keys: RootKeyOptions

        @Option(help: "The device's id, 16 hexadecimal digits.")
        var device: String

        @Option(help: "A name for people.")
        var name = ""

        @Flag(help: "The key moves on with each handshake, on both sides.")
        var evolving = false

        func run() throws {
            let id = try DeviceID(hex: device)
            let key = try keys.rootKey()
            let credential: Credential =
                evolving ? .evolving(device: id, key: key) : .fixed(device: id, rootKey: key)
            try GatewayStore(path: store.store).add(credential, name: name)
        }
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Prints the devices, one line each: id, kind, epoch, time added, name.")

        @OptionGroup var store: StoreOption

        func run() throws {
            for device in try openStore(store.store).list() {
                let kind = device.kind == .fixed ? "fixed" : "evolving"
                let added = WallClock.string(seconds: device.addedAt)
                try Output.line("\(device.id)\t\(kind)\t\(device.epoch)\t\(added)\t\(device.name)")
            }
        }
    }

    struct Remove: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Removes a device; a gateway that runs ends its session.")

        @OptionGroup var store: StoreOption

        @Option(help: "The device's id, 16 hexadecimal digits.")
        var device: String

        func run() throws {
            let id = try DeviceID(hex: device)
            guard try openStore(store.store).remove(id) else {
                throw OuroborosError(.storage, "there is no device \(id) in “\(store.store)”")
            }
        }
    }
}

/// A store that is there: only `device add` makes one.
func openStore(_ path: String) throws -> GatewayStore {
    try PrivateFile.check(path)
    return try GatewayStore(path: path)
}
