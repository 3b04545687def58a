import ArgumentParser
import Ouroboros
import OuroborosStore

extension DeviceCommand {
    /// What is changed of a device that is there.
    struct Target: ParsableArguments {
        @OptionGroup var store: StoreOption
        @OptionGroup var device: DeviceChoice

        func change(_ change: DeviceChange) throws {
            let store = try store.open()
            let record = try device.record(in: store, self.store.name)
            guard try store.change(record.id, change) else {
                throw OuroborosError(.storage, "there is no device \(record.id) in “\(self.store.name)”")
            }
        }
    }

    struct Rename: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Gives a device another name.")

        @OptionGroup var target: Target

        @Option(help: "The new name.")
        var to: String

        func run() throws { try target.change(.name(to)) }
    }

    struct Disable: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Refuses a device as if it were not there, until it is enabled.",
            discussion: """
                It keeps its key, epoch and counts; a gateway that runs ends its session. A device of a fleet's key that \
                is to be disabled is added first.
                """)

        @OptionGroup var target: Target

        func run() throws { try target.change(.isDisabled(true)) }
    }

    struct Enable: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Takes a device again that was disabled.")

        @OptionGroup var target: Target

        func run() throws { try target.change(.isDisabled(false)) }
    }

    struct Tag: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Puts tags on a device, or takes them off.",
            discussion:
                "A tag is a word of letters, digits and - _ . : =, such as floor=2. `list --tag` asks for them."
        )

        @OptionGroup var target: Target

        @Option(help: "A tag to put on; may be repeated.")
        var add: [String] = []

        @Option(help: "A tag to take off; may be repeated.")
        var remove: [String] = []

        func validate() throws {
            guard !add.isEmpty || !remove.isEmpty else {
                throw ValidationError("give --add TAG or --remove TAG")
            }
        }

        func run() throws { try target.change(.tags(adding: Set(add), removing: Set(remove))) }
    }
}
