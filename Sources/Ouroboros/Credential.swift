internal import COuroboros

/// What a device and its gateway share: the device's id, an epoch, and the key of that epoch.
///
/// A *fixed* credential stays at epoch 0 and is never written at run time. An *evolving* one moves one
/// epoch with each handshake and forgets the key it leaves: whoever takes the device later cannot open what
/// was recorded before. It has to be stored durably, by a ``CredentialStore`` or a ``DeviceRegistry``.
public struct Credential: Sendable, Equatable {
    public enum Kind: Sendable, Hashable {
        case fixed
        case evolving
    }

    public let deviceID: DeviceID
    public let kind: Kind
    public let epoch: UInt64
    public let key: SecretKey
    /// A client's: sessions in a row that did not last. It is stored with key and epoch, in one write.
    public let shortSessions: UInt8

    /// A fixed credential.
    public static func fixed(device: DeviceID, rootKey: RootKey) -> Credential {
        Credential(deviceID: device, kind: .fixed, epoch: 0, key: rootKey)
    }

    /// An evolving credential: at epoch 0 `key` is the root key, later it is the key of the epoch.
    public static func evolving(
        device: DeviceID, epoch: UInt64 = 0, key: SecretKey, shortSessions: UInt8 = 0
    ) -> Credential {
        Credential(
            deviceID: device, kind: .evolving, epoch: epoch, key: key, shortSessions: shortSessions)
    }

    /// The fixed credential of a device of a fleet.
    public static func fixed(device: DeviceID, fleetKey: SecretKey) throws(OuroborosError) -> Credential {
        .fixed(device: device, rootKey: try fleetKey.rootKey(of: device))
    }

    init(deviceID: DeviceID, kind: Kind, epoch: UInt64, key: SecretKey, shortSessions: UInt8 = 0) {
        self.deviceID = deviceID
        self.kind = kind
        self.epoch = epoch
        self.key = key
        self.shortSessions = shortSessions
    }

    /// `raw` is read where it lies, so that no copy of its key stays behind.
    init(_ raw: UnsafeMutablePointer<ouro_credential>) {
        kind = raw.pointee.evolving ? .evolving : .fixed
        epoch = raw.pointee.epoch
        shortSessions = raw.pointee.shorts
        deviceID = withUnsafeBytes(of: &raw.pointee.device_id) {
            DeviceID(number: UInt64(bigEndian: $0.loadUnaligned(as: UInt64.self)))
        }
        key = withUnsafeBytes(of: &raw.pointee.key) { bytes in
            SecretKey { $0.copyMemory(from: bytes) }
        }
    }

    /// The engine's own form, erased after `body`.
    func withEngineForm<Result, Failure: Error>(
        _ body: (UnsafeMutablePointer<ouro_credential>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        var raw = ouro_credential()
        defer { ouro_erase(&raw, MemoryLayout<ouro_credential>.size) }
        raw.epoch = epoch
        raw.evolving = kind == .evolving
        raw.shorts = shortSessions
        deviceID.withUnsafeBytes { id in
            withUnsafeMutableBytes(of: &raw.device_id) { $0.copyMemory(from: id) }
        }
        key.withUnsafeBytes { key in withUnsafeMutableBytes(of: &raw.key) { $0.copyMemory(from: key) } }
        return try body(&raw)
    }
}

extension Credential: CustomStringConvertible {
    public var description: String {
        kind == .fixed ? "\(deviceID) (fixed)" : "\(deviceID) (evolving, epoch \(epoch))"
    }
}
