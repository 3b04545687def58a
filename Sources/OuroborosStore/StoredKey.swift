import Foundation
import GRDB
import Ouroboros

/// A key as a row holds it. `key_form` says how: a form that this version does not know is an error, so that
/// keys sealed by a later one are never taken for plain ones.
enum StoredKey {
    static let plain = "plain"

    static func bytes(of key: SecretKey) -> [UInt8] {
        key.withUnsafeBytes { Array($0) }
    }

    static func credential(_ row: Row, device: DeviceID) throws -> Credential {
        let form: String = row["key_form"]
        guard form == plain else {
            throw OuroborosError(
                .storage, "the key of device \(device) is stored in a form that this version does not know")
        }
        let bytes: [UInt8] = Array(row["key"] as Data)
        let key = try SecretKey(bytes)
        let epoch: Int64 = row["epoch"]
        let kind: String = row["kind"]
        if kind == "fixed" {
            return .fixed(device: device, rootKey: key)
        }
        return .evolving(device: device, epoch: UInt64(epoch), key: key)
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
    var name: String { self == .fixed ? "fixed" : "evolving" }
}
