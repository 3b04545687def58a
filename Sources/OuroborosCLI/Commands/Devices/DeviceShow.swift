import ArgumentParser
import Ouroboros
import OuroborosStore
import OuroborosText

extension DeviceCommand {
    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Prints what the store knows of a device, its key apart: a name and a value a line.")

        @OptionGroup var store: StoreOption
        @OptionGroup var device: DeviceOption

        func run() throws {
            let store = try store.open()
            let id = try device.id()
            guard let device = try store.record(of: id) else {
                throw OuroborosError(.storage, "there is no device \(id) in “\(self.store.name)”")
            }
            let lines = [
                ("device", "\(device.id)"), ("name", device.name),
                ("kind", device.kind == .fixed ? "fixed" : "evolving"), ("epoch", "\(device.epoch)"),
                ("key", store.isSealed ? "sealed" : "not sealed"),
                ("added", WallClock.string(seconds: device.addedAt)),
                ("last seen", device.lastSeen.map { WallClock.string(seconds: $0) } ?? "never"),
                ("sessions", "\(device.sessions)"), ("messages", "\(device.messages)"),
                ("bytes", "\(device.bytes)"),
            ]
            for (name, value) in lines {
                try Output.line("\(name)\t\(value)")
            }
        }
    }

    struct Rotate: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Gives a device a new root key, at epoch 0.",
            discussion: """
                The new key is made and written to --out, or taken from --root-key-file or --root-key-env; the device \
                needs it too, with a new state. A gateway that runs ends the device's session.
                """)

        @OptionGroup var store: StoreOption
        @OptionGroup var device: DeviceOption
        @OptionGroup var keys: RootKeyOptions
        @OptionGroup var encryption: KeyEncryptionOptions

        @Option(help: "The file for a new key, readable by its owner alone; it is never overwritten.")
        var out: String?

        func run() throws {
            guard (out != nil) != keys.isGiven else {
                throw OuroborosError(
                    .invalidConfiguration,
                    "give --out for a new key, or --root-key-file or --root-key-env for one that is there")
            }
            let store = try store.open(encryption)
            let id = try device.id()
            guard try store.record(of: id) != nil else {
                throw OuroborosError(.storage, "there is no device \(id) in “\(self.store.name)”")
            }
            let key = out == nil ? try keys.rootKey() : .random()
            // The file first: a key that only the store has is no use to the device.
            if let out {
                try KeyFiles.write(key, toNew: out)
            }
            try store.rotate(id, to: key)
        }
    }
}
