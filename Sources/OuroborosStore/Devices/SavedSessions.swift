import Foundation
import GRDB
import LibC
import Ouroboros

/// A session that sleeps lies here once, and is handed out once.
extension DeviceState {
    /// Makes the session durable, in the place of an earlier one. It belongs to the credential that is stored.
    public func save(_ session: SavedSession) throws {
        guard let credential = try credential() else {
            throw OuroborosError(
                .wrongState, "“\(path)” holds no credential: a session is saved after its credential")
        }
        let context = Self.context(credential)
        let closed = try session.withUnsafeBytes {
            try database.vault.close($0, context: context, path: path)
        }
        try database.write { database in
            try database.execute(
                sql: """
                    INSERT OR REPLACE INTO saved_session (only, device, saved_at, form, session)
                    VALUES (1, ?, ?, ?, ?)
                    """,
                arguments: [
                    Data(credential.deviceID.bytes), Int64(time(nil)), closed.form, closed.bytes,
                ])
        }
        try database.truncateLog()
    }

    /// Takes the session out: the stored copy is void, durably, before this returns. Nil when there is none.
    public func takeSession() throws -> (session: SavedSession, savedAt: Int64)? {
        guard let credential = try credential() else { return nil }
        let row = try database.write { database in
            let row = try Row.fetchOne(
                database, sql: "SELECT saved_at, form, session FROM saved_session WHERE device = ?",
                arguments: [Data(credential.deviceID.bytes)])
            try database.execute(sql: "DELETE FROM saved_session")
            return row?.of("saved_session")
        }
        guard let row else { return nil }
        // Voided first: a copy that lay in the log could be taken for the newest one.
        try database.truncateLog()
        let session = try database.vault.open(
            try row.bytes("session"), form: try row.text("form"), context: Self.context(credential),
            path: path
        ) {
            SavedSession($0)
        }
        return (session, try row.seconds("saved_at"))
    }

    private static func context(_ credential: Credential) -> Data {
        Vault.context(
            "session", device: credential.deviceID, kind: credential.kind, epoch: credential.epoch)
    }
}
