import Foundation
import GRDB
import Ouroboros

/// A device with its key, as it moves from one store to another.
public struct StoredDevice: Sendable, Equatable {
    public let credential: Credential
    public let name: String
    /// Seconds since 1970.
    public let addedAt: Int64
    public let tags: [String]
    public let isDisabled: Bool

    public init(
        credential: Credential, name: String, addedAt: Int64, tags: [String] = [], isDisabled: Bool = false
    ) {
        self.credential = credential
        self.name = name
        self.addedAt = addedAt
        self.tags = tags
        self.isDisabled = isDisabled
    }
}

extension GatewayStore {
    /// The devices with their keys: all, or some.
    public func devices(_ wanted: [DeviceID]? = nil) throws -> [StoredDevice] {
        try requireKeys()
        let devices = try database.read { database in
            let rows = try Row.fetchAll(database, sql: "SELECT * FROM device ORDER BY id")
            return try unreadable.readable(rows) { row in
                let row = row.of("device")
                let id = try row.device("id")
                guard let credential = try? self.database.credential(row, device: id) else {
                    throw row.wrong("key", "does not open, that of device \(id)")
                }
                return StoredDevice(
                    credential: credential, name: try row.text("name"), addedAt: try row.integer("added_at"),
                    tags: DeviceTags.list(try row.text("tags")), isDisabled: try row.integer("disabled") != 0)
            }
        }
        return try Self.chosen(wanted, of: devices)
    }

    package static func chosen(_ wanted: [DeviceID]?, of devices: [StoredDevice]) throws -> [StoredDevice] {
        guard let wanted else { return devices }
        return try wanted.map { id in
            guard let device = devices.first(where: { $0.credential.deviceID == id }) else {
                throw OuroborosError(.storage, "there is no device \(id) in the store")
            }
            return device
        }
    }
}

/// Devices in a file, sealed whole: names and epochs too.
///
/// `"OUROEXP1" || how (1) || log2 of scrypt's N (1) || salt (16)`, which are authenticated, then nonce, ciphertext
/// and tag.
public enum DeviceExport {
    /// What an export is sealed under.
    public enum Secret: Sendable {
        case keyEncryptionKey(SecretKey)
        /// Stretched with scrypt (RFC 7914).
        case passphrase(SecretBytes)
    }

    public static let mostBytes = 64 << 20

    private static let magic = Data("OUROEXP1".utf8)
    private static let headerCount = 8 + 2 + Sealer.saltCount
    /// N = 2^15, r = 8, p = 1: 32 MiB and about a tenth of a second.
    private static let workFactor: UInt8 = 15
    private static let shortestPassphrase = 8

    public static func seal(_ devices: [StoredDevice], under secret: Secret) throws -> [UInt8] {
        let salt = Sealer.randomSalt()
        var header = magic
        switch secret {
        case .keyEncryptionKey: header += [1, 0]
        case .passphrase(let passphrase):
            guard passphrase.count >= shortestPassphrase else {
                throw OuroborosError(
                    .invalidKey, "a passphrase has at least \(shortestPassphrase) bytes, this one has fewer")
            }
            header += [2, workFactor]
        }
        header += salt
        let sealer = try sealer(secret, workFactor: workFactor, salt: salt)
        let sealed = try encode(devices).withUnsafeBytes { try sealer.seal($0, context: header) }
        return Array(header + sealed)
    }

    public static func open(_ bytes: [UInt8], under secret: Secret) throws -> [StoredDevice] {
        let header = Data(bytes.prefix(headerCount))
        guard header.count == headerCount, header.prefix(8) == magic else {
            throw OuroborosError(.damaged, "this is no export of devices")
        }
        switch (header[8], secret) {
        case (1, .keyEncryptionKey), (2, .passphrase): break
        case (1, _):
            throw OuroborosError(.invalidKey, "the export is sealed under a key-encryption key: give that")
        case (2, _):
            throw OuroborosError(
                .invalidKey, "the export is sealed under a passphrase: give --passphrase-file")
        default:
            throw OuroborosError(.damaged, "the export has a form that this version does not know")
        }
        guard header[8] == 1 || (10...20).contains(header[9]) else {
            throw OuroborosError(.damaged, "the export asks for an impossible effort: it was changed")
        }
        let sealer = try sealer(secret, workFactor: header[9], salt: header.suffix(Sealer.saltCount))
        let devices = try sealer.open(Data(bytes.dropFirst(headerCount)), context: header) {
            try decode($0)
        }
        guard let devices else {
            throw OuroborosError(
                .damaged, "the export does not open: it is sealed under another secret, or was damaged")
        }
        return devices
    }

    private static func sealer(_ secret: Secret, workFactor: UInt8, salt: Data) throws -> Sealer {
        switch secret {
        case .keyEncryptionKey(let key):
            return try Sealer(keyEncryptionKey: key, salt: salt, label: "ouroboros export")
        case .passphrase(let passphrase):
            return try Sealer(passphrase: passphrase, salt: salt, rounds: 1 << Int(workFactor))
        }
    }

    /// What the second byte of a device says beside its kind.
    private static let disabled: UInt8 = 2
    private static let tagged: UInt8 = 4

    /// A device: id 8, kind and flags 1, epoch 8, key 32, time added 8, length of the name 2, name; if the flags say so the
    /// tags, as the name is.
    private static func encode(_ devices: [StoredDevice]) -> SecretBytes {
        let texts = devices.map { device in
            ([device.name] + (device.tags.isEmpty ? [] : [device.tags.joined(separator: " ")]))
                .map { $0.utf8.prefix(65_535) }
        }
        let size = texts.joined().reduce(57 * devices.count) { $0 + 2 + $1.count }
        return SecretBytes.filled(count: size) { buffer in
            var rest = buffer[...]
            func put(_ bytes: some Collection<UInt8>) {
                UnsafeMutableRawBufferPointer(rebasing: rest).copyBytes(from: bytes)
                rest = rest.dropFirst(bytes.count)
            }
            func put(_ number: some FixedWidthInteger) {
                withUnsafeBytes(of: number.bigEndian) { put($0) }
            }
            for (device, texts) in zip(devices, texts) {
                let credential = device.credential
                put(credential.deviceID.bytes)
                put(
                    UInt8(credential.kind == .fixed ? 0 : 1) | (device.isDisabled ? disabled : 0)
                        | (device.tags.isEmpty ? 0 : tagged))
                put(credential.epoch)
                credential.key.withUnsafeBytes { put($0) }
                put(UInt64(bitPattern: device.addedAt))
                for text in texts {
                    put(UInt16(text.count))
                    put(text)
                }
            }
        }
    }

    private static func decode(_ bytes: UnsafeRawBufferPointer) throws -> [StoredDevice] {
        let damaged = OuroborosError(.damaged, "the export opens, but does not hold devices")
        var devices: [StoredDevice] = []
        var rest = bytes[...]
        func take(_ count: Int) throws -> Slice<UnsafeRawBufferPointer> {
            guard rest.count >= count else { throw damaged }
            defer { rest = rest.dropFirst(count) }
            return rest.prefix(count)
        }
        func number(_ count: Int) throws -> UInt64 {
            try take(count).reduce(0) { $0 << 8 | UInt64($1) }
        }
        while !rest.isEmpty {
            let id = DeviceID(number: try number(8))
            let flags = UInt8(try number(1))
            let epoch = try number(8)
            let key = try SecretKey(try take(32))
            let addedAt = Int64(bitPattern: try number(8))
            func text() throws -> String {
                String(decoding: try take(Int(try number(2))), as: UTF8.self)
            }
            let name = try text()
            let tags = flags & tagged == 0 ? [] : DeviceTags.list(try text())
            let credential: Credential
            switch (flags & ~(disabled | tagged), epoch) {
            case (0, 0): credential = .fixed(device: id, rootKey: key)
            case (1, _): credential = .evolving(device: id, epoch: epoch, key: key)
            default: throw damaged
            }
            devices.append(
                StoredDevice(
                    credential: credential, name: name, addedAt: addedAt, tags: tags,
                    isDisabled: flags & disabled != 0))
        }
        return devices
    }
}
