import ArgumentParser
import Ouroboros
import OuroborosStore
import OuroborosText

extension DeviceCommand {
    struct PassphraseOption: ParsableArguments {
        @Option(
            help: """
                A file with the passphrase of the export, readable by its owner alone; without it the export's key is \
                the key-encryption key.
                """)
        var passphraseFile: String?

        @Option(help: "The environment variable that holds the passphrase.")
        var passphraseEnv: String?

        func secret(_ encryption: KeyEncryptionOptions) throws -> DeviceExport.Secret {
            if let source = try SecretSource.given(
                file: passphraseFile, environment: passphraseEnv, option: "passphrase")
            {
                return .passphrase(try source.passphrase())
            }
            guard let key = try encryption.key() else {
                throw OuroborosError(
                    .invalidConfiguration,
                    "an export is always sealed: give --passphrase-file, or a key-encryption key (--kek-file)"
                )
            }
            return .keyEncryptionKey(key)
        }
    }

    struct Export: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Writes devices with their keys to a file, sealed.",
            discussion: "The file is readable by its owner alone and is never overwritten.")

        @OptionGroup var store: StoreOption
        @OptionGroup var passphrase: PassphraseOption
        @OptionGroup var encryption: KeyEncryptionOptions

        @Option(help: "A device's id; may be repeated. Without it all are exported.")
        var device: [String] = []

        @Option(help: "The file to write.")
        var out: String

        func run() throws {
            let secret = try passphrase.secret(encryption)
            let wanted = device.isEmpty ? nil : try device.map { try DeviceID(hex: $0) }
            let store = try Self.open(store, encryption)
            try PrivateFile.write(DeviceExport.seal(try store.devices(wanted), under: secret), toNew: out)
        }

        /// A store that is not sealed may be exported under a key-encryption key: that is how it becomes sealed.
        private static func open(
            _ option: StoreOption, _ encryption: KeyEncryptionOptions
        ) throws -> any DeviceStore {
            let plain = try option.open()
            return plain.isSealed ? try option.open(encryption) : plain
        }
    }

    struct Import: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Adds the devices of an export; makes the store at first.",
            discussion: """
                It adds all of them or, when one is in the store already, none. Do not let two gateways' stores go \
                their own ways with the same evolving device.
                """)

        @OptionGroup var store: StoreOption
        @OptionGroup var passphrase: PassphraseOption
        @OptionGroup var encryption: KeyEncryptionOptions

        @Option(name: .customLong("in"), help: "The file to read.")
        var input: String

        func run() throws {
            let file = try PrivateFile.read(input, atMost: DeviceExport.mostBytes)
            let devices: [StoredDevice]
            do {
                devices = try DeviceExport.open(
                    file.withUnsafeBytes(Array.init), under: try passphrase.secret(encryption))
            } catch let error as OuroborosError {
                throw OuroborosError(error.code, "“\(input)”: \(error.message)")
            }
            try store.make(encryption).add(devices)
            Output.note("ouroboros: \(devices.count) \(devices.count == 1 ? "device" : "devices") imported")
        }
    }
}
