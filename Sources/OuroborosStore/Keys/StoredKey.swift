import Foundation
import GRDB
import Ouroboros

/// A credential's key as a row holds it.
extension StoreDatabase {
    func closed(_ credential: Credential) throws -> (form: String, bytes: Data) {
        try credential.key.withUnsafeBytes {
            try vault.close($0, context: Self.keyContext(credential), path: path)
        }
    }

    /// The short sessions are a device's alone.
    func credential(_ row: FileRow, device: DeviceID, shortSessions: UInt8 = 0) throws -> Credential {
        let kind = try row.kind("kind")
        let epoch: UInt64 = try row.number("epoch")
        let context = Vault.context("key", device: device, kind: kind, epoch: epoch)
        let key = try vault.open(
            try row.bytes("key"), form: try row.text("key_form"), context: context, path: path
        ) {
            try SecretKey($0)
        }
        return kind == .fixed
            ? .fixed(device: device, rootKey: key)
            : .evolving(device: device, epoch: epoch, key: key, shortSessions: shortSessions)
    }

    private static func keyContext(_ credential: Credential) -> Data {
        Vault.context(
            "key", device: credential.deviceID, kind: credential.kind, epoch: credential.epoch)
    }

    /// SQLite's integers are signed.
    static func epoch(of credential: Credential) throws -> Int64 {
        guard let epoch = Int64(exactly: credential.epoch) else {
            throw OuroborosError(.storage, "the epoch of device \(credential.deviceID) is out of range")
        }
        return epoch
    }
}

extension Credential.Kind {
    package var name: String { self == .fixed ? "fixed" : "evolving" }
}
