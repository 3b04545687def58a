import ArgumentParser
import Ouroboros
import OuroborosStore
import OuroborosText

struct DeviceCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "device", abstract: "The devices that a gateway knows.",
        subcommands: [
            New.self, Reissue.self, Add.self, List.self, Show.self, Rename.self, Tag.self, Disable.self,
            Enable.self, Remove.self, Rotate.self, Export.self, Import.self, Backup.self,
        ])

    struct Add: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Adds a device; makes the store at first.")

        @OptionGroup var store: StoreOption
        @OptionGroup var keys: RootKeyOptions
        @OptionGroup var encryption: KeyEncryptionOptions

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
            try store.make(encryption).add([
                StoredDevice(credential: credential, name: name, addedAt: WallClock.milliseconds() / 1000)
            ])
        }
    }

    struct Remove: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Removes a device; a gateway that runs ends its session.")

        @OptionGroup var store: StoreOption
        @OptionGroup var device: DeviceChoice

        func run() throws {
            let store = try store.open()
            let id = try device.record(in: store, self.store.name).id
            guard try store.remove(id) else {
                throw OuroborosError(.storage, "there is no device \(id) in “\(self.store.name)”")
            }
        }
    }
}
