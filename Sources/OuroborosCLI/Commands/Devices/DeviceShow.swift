import ArgumentParser
import Ouroboros
import OuroborosStore
import OuroborosText

extension DeviceCommand {
    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract:
                "Prints the devices, one line each: id, kind, epoch, time added, name, and whether it is disabled."
        )

        @OptionGroup var store: StoreOption

        @Option(help: "Only those that have this tag; may be repeated for those that have all of them.")
        var tag: [String] = []

        @Flag(help: "A JSON object each, with all that the store knows of it, its key apart.")
        var json = false

        func run() throws {
            let store = try store.open()
            for device in try store.list() where Set(tag).isSubset(of: device.tags) {
                if json {
                    try Output.write(device.json(isSealed: store.isSealed))
                } else {
                    try Output.line(
                        "\(device.id)\t\(device.kind.name)\t\(device.epoch)\t\(WallClock.string(seconds: device.addedAt))"
                            + "\t\(device.name)" + (device.isDisabled ? "\tdisabled" : ""))
                }
            }
        }
    }

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Prints what the store knows of a device, its key apart: a name and a value a line.")

        @OptionGroup var store: StoreOption
        @OptionGroup var device: DeviceChoice

        @Flag(help: "As a JSON object.")
        var json = false

        func run() throws {
            let store = try store.open()
            let device = try device.record(in: store, self.store.name)
            guard !json else {
                return try Output.write(device.json(isSealed: store.isSealed))
            }
            let lines = [
                ("device", "\(device.id)"), ("name", device.name),
                ("kind", device.kind.name), ("epoch", "\(device.epoch)"),
                ("key", store.isSealed ? "sealed" : "not sealed"),
                ("added", WallClock.string(seconds: device.addedAt)),
                ("last seen", device.lastSeen.map { WallClock.string(seconds: $0) } ?? "never"),
                ("disabled", device.isDisabled ? "yes" : "no"), ("tags", device.tags.joined(separator: " ")),
                ("session began", device.sessionAt.map { WallClock.string(seconds: $0) } ?? "never"),
                ("address", device.address ?? ""), ("sessions", "\(device.sessions)"),
                ("messages", "\(device.messages)"),
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
        @OptionGroup var device: DeviceChoice
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
            let id = try device.record(in: store, self.store.name).id
            let key = out == nil ? try keys.rootKey() : .random()
            // The file first: a key that only the store has is no use to the device.
            if let out {
                try KeyFiles.write(key, toNew: out)
            }
            try store.rotate(id, to: key)
        }
    }
}

extension DeviceRecord {
    /// A line, with its end.
    fileprivate func json(isSealed: Bool) -> [UInt8] {
        var line = JSONLine()
        line.add("device", id.description)
        line.add("name", name)
        line.add("kind", kind.name)
        line.add("epoch", epoch)
        line.add("sealed", isSealed)
        line.add("disabled", isDisabled)
        line.add("tags", tags)
        line.add("added", WallClock.string(seconds: addedAt))
        if let lastSeen { line.add("last_seen", WallClock.string(seconds: lastSeen)) }
        if let sessionAt {
            line.add("session_began", WallClock.string(seconds: sessionAt))
            line.add("session_age_seconds", max(0, WallClock.milliseconds() / 1000 - sessionAt))
        }
        if let address { line.add("address", address) }
        line.add("sessions", sessions)
        line.add("messages", messages)
        line.add("bytes", bytes)
        return line.finished() + [UInt8(ascii: "\n")]
    }
}
