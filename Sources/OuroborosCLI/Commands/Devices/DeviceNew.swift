import ArgumentParser
import Ouroboros
import OuroborosStore
import OuroborosText

extension DeviceCommand {
    enum Kind: String, ExpressibleByArgument, CaseIterable {
        case evolving, fixed

        func credential(of device: DeviceID, _ key: RootKey) -> Credential {
            self == .fixed ? .fixed(device: device, rootKey: key) : .evolving(device: device, key: key)
        }
    }

    struct New: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract:
                "Adds a device with a new id and key, and prints its token, all that `join` needs at the device.",
            discussion: """
                It makes the store at first. With --count there are many, one transaction and a JSON object each, on \
                standard output or in --out. A token holds the key: give it to its device alone, and delete it after that.
                """)

        @OptionGroup var store: StoreOption
        @OptionGroup var token: TokenOptions
        @OptionGroup var encryption: KeyEncryptionOptions

        @Option(help: "A name for people, which no other device of the store has.")
        var name: String?

        @Option(
            help: "evolving: the key moves on with each handshake, and the device keeps a state; or fixed.")
        var kind = Kind.evolving

        @Option(help: "The device's id, 16 hexadecimal digits; without it one is made.")
        var device: String?

        @Option(help: "A tag; may be repeated.")
        var tag: [String] = []

        @Option(help: "How many devices.")
        var count: Int?

        @Option(help: "With --count: what their names begin with; a number follows.")
        var prefix: String?

        @Option(help: "With --count: the first number.")
        var first = 1

        func validate() throws {
            guard let count else {
                guard prefix == nil else { throw ValidationError("--prefix goes with --count") }
                return
            }
            try Self.check(count, in: 1...100_000, "--count")
            try Self.check(first, in: 0...1_000_000_000, "--first")
            guard prefix != nil, name == nil, device == nil else {
                throw ValidationError("--count takes --prefix in the place of --name and --device")
            }
            guard !token.qr, token.nvs == nil, token.blob == nil else {
                throw ValidationError("--count writes JSON lines: leave --qr, --nvs and --blob out")
            }
        }

        func run() throws {
            let devices = try newDevices()
            let token = try token.token(of: devices[0].credential)
            let store = try store.make(encryption)
            let taken = Set(try store.list().map(\.name))
            if let name = devices.lazy.map(\.name).first(where: { !$0.isEmpty && taken.contains($0) }) {
                throw OuroborosError(
                    .storage,
                    "there is a device called “\(name)” in “\(self.store.name)” already: take another name"
                        + (count == nil
                            ? ", or give it a new token (device reissue)" : " (--prefix, --first)"))
            }
            guard count != nil else {
                return try self.token.handOut(token) { try store.add(devices) }
            }
            try TokenLines.handOut(devices, TokenPlace(self.token.gateway), out: self.token.out) {
                try store.add(devices)
            }
        }

        private func newDevices() throws -> [StoredDevice] {
            _ = try DeviceTags.text(tag)
            guard let count else {
                let id = try device.map { try DeviceID(hex: $0) } ?? .random()
                return [stored(id, name ?? "")]
            }
            let last = first + count - 1
            return (first...last).map { number in
                let digits = String(number)
                let zeros = String(repeating: "0", count: String(last).count - digits.count)
                return stored(.random(), (prefix ?? "") + zeros + digits)
            }
        }

        private func stored(_ id: DeviceID, _ name: String) -> StoredDevice {
            StoredDevice(
                credential: kind.credential(of: id, .random()), name: name,
                addedAt: WallClock.milliseconds() / 1000, tags: tag)
        }
    }

    struct Reissue: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract:
                "Gives a device a new key, and prints its new token: the old key was lost, or others had it.",
            discussion: """
                Its name, tags and counts stay. A gateway that runs ends the device's session, and refuses its old state \
                and tokens.
                """)

        @OptionGroup var store: StoreOption
        @OptionGroup var device: DeviceChoice
        @OptionGroup var token: TokenOptions
        @OptionGroup var encryption: KeyEncryptionOptions

        func run() throws {
            let store = try store.open(encryption)
            let record = try device.record(in: store, self.store.name)
            let key = RootKey.random()
            let kind: Kind = record.kind == .fixed ? .fixed : .evolving
            try token.handOut(try token.token(of: kind.credential(of: record.id, key))) {
                try store.rotate(record.id, to: key)
            }
        }
    }
}

extension DeviceID {
    /// From the system's random source; never 0.
    static func random() -> DeviceID {
        DeviceID(number: .random(in: 1 ... .max))
    }
}

/// Many devices with their tokens, as JSON lines.
enum TokenLines {
    /// Calls `commit` once the file is written, and prints what is printed after that.
    static func handOut(
        _ devices: [StoredDevice], _ place: TokenPlace, out: String?, _ commit: () throws -> Void
    ) throws {
        let lines = SecretBytes.joined(try devices.map { try line(of: $0, place) })
        try NewFile.write(out.map { [NewFile(path: $0, bytes: lines)] } ?? [], commit)
        if out == nil {
            try Output.write(lines)
        }
    }

    private static func line(of device: StoredDevice, _ place: TokenPlace) throws -> SecretBytes {
        let credential = device.credential
        var line = JSONLine()
        line.add("device", credential.deviceID.description)
        line.add("name", device.name)
        line.add("kind", credential.kind.name)
        // A token needs no escapes, and goes where it is erased.
        let start = line.bytes + Array(",\"token\":\"".utf8)
        return SecretBytes.joined([
            .copying(start), try place.token(of: credential).text(), .copying("\"}\n".utf8),
        ])
    }
}
