import Foundation
import GRDB
import Ouroboros

/// How a state began: with which root key, and at which gateway.
extension DeviceState {
    private static let checkCount = 8

    /// HOST:PORT of the device's gateway, if a token said it.
    public func gateway() throws -> String? {
        try database.read { try String.fetchOne($0, sql: "SELECT gateway FROM origin") }
    }

    /// Begins an empty state, in one write. With the same root key it changes nothing; with another it throws.
    public func begin(_ credential: Credential, gateway: String? = nil) throws {
        if let stored = try self.credential() {
            guard stored.deviceID == credential.deviceID else {
                throw OuroborosError(
                    .storage,
                    "“\(path)” is the state of device \(stored.deviceID), not of \(credential.deviceID)")
            }
            return try check(rootKey: credential.key)
        }
        let check = try Self.check(of: credential.key)
        let save = try writing(credential)
        try database.write { database in
            try save(database)
            try database.execute(
                sql: "INSERT OR REPLACE INTO origin (only, root_key, gateway) VALUES (1, ?, ?)",
                arguments: [check, gateway])
        }
    }

    /// Throws when the state began with another root key, as far as that is known.
    package func check(rootKey: RootKey) throws {
        let stored = try database.read { try Data.fetchOne($0, sql: "SELECT root_key FROM origin") }
        guard let stored, try stored != Self.check(of: rootKey) else { return }
        throw OuroborosError(
            .invalidKey,
            "“\(path)” began with another key than this one: the device got a new key meanwhile (device rotate or "
                + "reissue), and this state is of no use any more; name another file for a new one")
    }

    /// A few bytes, which tell nothing of the key.
    private static func check(of rootKey: RootKey) throws -> Data {
        try rootKey.withUnsafeBytes { key in
            try LibCrypto.sha256(key).withUnsafeBytes { Data($0.prefix(checkCount)) }
        }
    }
}
