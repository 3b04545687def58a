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
            abstract: "Adds the devices of an export, or of a CSV file; makes the store at first.",
            discussion: """
                It adds all of them or, when one is in the store already, none. Do not let two gateways' stores go \
                their own ways with the same evolving device. The first row of a CSV file (RFC 4180) names its columns: \
                device, name, kind, key and tags (with spaces between). A row without an id or a key gets a new one, and \
                its token, with --gateway.
                """)

        @OptionGroup var store: StoreOption
        @OptionGroup var passphrase: PassphraseOption
        @OptionGroup var encryption: KeyEncryptionOptions

        @Option(name: .customLong("in"), help: "The export to read.")
        var input: String?

        @Option(help: "In its place: a CSV file, readable by its owner alone.")
        var csv: String?

        @Flag(help: "Leaves out what is in the store already: the id or, where the file has none, the name.")
        var skipExisting = false

        @Option(help: "With --csv: the gateway, HOST:PORT, for a token of each device, a JSON object a line.")
        var gateway: String?

        @Option(
            help:
                "With --gateway: the new file for the tokens, readable by its owner alone, in place of printing."
        )
        var out: String?

        func validate() throws {
            guard (input == nil) != (csv == nil) else {
                throw ValidationError("give --in FILE or --csv FILE, one of them")
            }
            guard csv != nil || gateway == nil, gateway != nil || out == nil else {
                throw ValidationError("--gateway goes with --csv, and --out with --gateway")
            }
        }

        func run() throws {
            let path = input ?? csv ?? ""
            let file = try PrivateFile.read(path, atMost: DeviceExport.mostBytes)
            let read: (exported: [StoredDevice], rows: [DeviceTable.Row])
            do {
                read = try csv == nil ? (exported(file), []) : ([], rows(of: file))
            } catch let error as OuroborosError {
                throw OuroborosError(error.code, "“\(path)”: \(error.message)")
            }
            let store = try store.make(encryption)
            let known = try store.list()
            let all = read.exported + Self.devices(read.rows, known)
            let ids = skipExisting ? Set(known.map(\.id)) : []
            let new = all.filter { !ids.contains($0.credential.deviceID) }
            if let gateway {
                try TokenLines.handOut(new, TokenPlace(gateway), out: out) { try store.add(new) }
            } else {
                try store.add(new)
            }
            let left = all.count - new.count
            Output.note(
                "ouroboros: \(new.count) \(new.count == 1 ? "device" : "devices") imported"
                    + (left > 0 ? ", \(left) there already" : ""))
        }

        private func exported(_ file: SecretBytes) throws -> [StoredDevice] {
            try DeviceExport.open(
                file.withUnsafeBytes(Array.init), under: try passphrase.secret(encryption))
        }

        private func rows(of file: SecretBytes) throws -> [DeviceTable.Row] {
            let rows = try DeviceTable(file).rows
            if gateway == nil, let index = rows.firstIndex(where: { $0.device == nil || $0.key == nil }) {
                throw OuroborosError(
                    .invalidConfiguration,
                    "row \(index + 2) has no id or no key: with --gateway it gets one, and its token is printed"
                )
            }
            return rows
        }

        /// One without an id that is called as one of the store's is that one.
        private static func devices(
            _ rows: [DeviceTable.Row], _ known: [DeviceRecord]
        ) -> [StoredDevice] {
            let named = Dictionary(known.map { ($0.name, $0.id) }, uniquingKeysWith: { first, _ in first })
            let now = WallClock.milliseconds() / 1000
            return rows.map { row in
                let id = row.device ?? (row.name.isEmpty ? nil : named[row.name]) ?? .random()
                return StoredDevice(
                    credential: row.kind.credential(of: id, row.key ?? .random()), name: row.name,
                    addedAt: now, tags: row.tags)
            }
        }
    }
}
