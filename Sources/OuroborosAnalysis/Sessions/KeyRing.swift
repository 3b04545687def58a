internal import COuroboros
import Ouroboros

/// The keys that whoever analyses a capture has.
public struct KeyRing {
    private var credentials: [DeviceID: Credential] = [:]
    private var registry: (any DeviceRegistry)?
    private var sessions: [UInt32: [SessionKeys]] = [:]
    private var derived: [DeviceID: (epoch: UInt64, key: SecretKey)] = [:]
    /// Epochs that may be derived in all: a forged HELLO may claim any.
    private var budget: UInt64 = 1 << 20

    public init() {}

    public mutating func add(_ credential: Credential) {
        credentials[credential.deviceID] = credential
    }

    /// A gateway's store, or any other registry; it is only read.
    public mutating func add(_ registry: any DeviceRegistry) {
        self.registry = registry
    }

    /// What a key log holds.
    public mutating func add(_ keys: [SessionKeys]) {
        for keys in keys {
            sessions[keys.sessionID, default: []].append(keys)
        }
    }

    public var isEmpty: Bool { credentials.isEmpty && registry == nil && sessions.isEmpty }

    private func credential(of device: DeviceID) -> Credential? {
        credentials[device] ?? (try? registry?.credential(of: device)) ?? nil
    }

    /// The key of an epoch: nil for a device that is not known, an epoch that was left, and one too far ahead.
    mutating func epochKey(of device: DeviceID, epoch: UInt64) -> SecretKey? {
        guard let credential = credential(of: device), credential.epoch <= epoch else { return nil }
        var from = (epoch: credential.epoch, key: credential.key)
        if let known = derived[device], known.epoch <= epoch, known.epoch > from.epoch { from = known }
        let steps = epoch - from.epoch
        guard steps > 0 else { return from.key }
        guard steps <= budget else { return nil }
        budget -= steps
        var bytes = from.key.withUnsafeBytes { Array($0) }
        defer { ouro_erase(&bytes, bytes.count) }
        guard ouro_epoch_advance(&bytes, from.epoch, steps) == OURO_OK, let key = try? SecretKey(bytes) else {
            return nil
        }
        return key
    }

    /// Whether a HELLO's tag verifies; nil without its device's key.
    mutating func verifies(_ packet: [UInt8], _ hello: Hello) -> Bool? {
        guard let key = epochKey(of: hello.device, epoch: hello.epoch) else { return nil }
        var auth = [UInt8](repeating: 0, count: Int(OURO_KEY_SIZE))
        defer { ouro_erase(&auth, auth.count) }
        guard key.withUnsafeBytes({ ouro_auth_key($0.octets, hello.epoch, &auth) }) == OURO_OK else {
            return nil
        }
        guard ouro_hello_verify(auth, packet, packet.count) == OURO_OK else { return false }
        // Only what a device really used is worth keeping.
        derived[hello.device] = (hello.epoch, key)
        return true
    }

    enum Finding {
        case keys(SessionKeys)
        /// There is a key, and the WELCOME does not verify under it.
        case forged
        case none
    }

    mutating func session(_ hello: [UInt8], _ said: Hello, _ welcome: [UInt8], _ answer: Welcome) -> Finding {
        if let logged = sessions[answer.sessionID]?.last(where: { $0.nonce == said.nonce }) {
            return .keys(logged)
        }
        guard let key = epochKey(of: said.device, epoch: said.epoch) else { return .none }
        guard
            let keys = try? SessionKeys(hello: hello, welcome: welcome, epochKey: key, epoch: said.epoch)
        else { return .forged }
        return .keys(keys)
    }

    /// A session whose handshake is not in the capture, from a key log.
    func session(_ id: UInt32) -> SessionKeys? {
        sessions[id]?.last
    }
}
