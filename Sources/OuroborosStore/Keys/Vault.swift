import Foundation
import GRDB
import Ouroboros

/// How a store's keys lie in it: as they are, or sealed under a key-encryption key (KEK).
package enum Vault: Sendable {
    case plain
    case sealed(Sealer)
    /// Sealed, and the key that opens it was not given.
    case locked

    static let plainForm = "plain"
    static let sealedForm = "sealed-1"
    /// Of what a sealed row is bound to. It changes when rows of the old form must not be taken any more.
    private static let formVersion: UInt32 = 1

    /// Finds out how the store is; a new one, or one that holds no key yet, is sealed if a KEK is given.
    static func open(
        in database: Database, purpose: StoreDatabase.Purpose, path: String, keyEncryptionKey: SecretKey?
    ) throws -> Vault {
        let row = try Row.fetchOne(database, sql: "SELECT salt, proof FROM sealing")?.of("sealing")
        return try open(
            label: "ouroboros store \(purpose.rawValue)", name: path, keyEncryptionKey: keyEncryptionKey,
            found: try row.map { (try $0.bytes("salt"), try $0.bytes("proof")) },
            holdsKeys: { try purpose.holdsKeys(database) },
            put: { salt, proof in
                try database.execute(
                    sql: "INSERT INTO sealing (only, salt, proof) VALUES (1, ?, ?)", arguments: [salt, proof])
            })
    }

    /// The same for any store: `found` is what it says of its sealing, `put` writes that.
    package static func open(
        label: String, name: String, keyEncryptionKey: SecretKey?, found: (salt: Data, proof: Data)?,
        holdsKeys: () throws -> Bool, put: (_ salt: Data, _ proof: Data) throws -> Void
    ) throws -> Vault {
        if let found {
            guard let keyEncryptionKey else { return .locked }
            let sealer = try Sealer(keyEncryptionKey: keyEncryptionKey, salt: found.salt, label: label)
            guard try sealer.open(found.proof, context: proofContext, { _ in true }) != nil else {
                throw OuroborosError(
                    .storage, "“\(name)” is sealed under another key-encryption key than the one given")
            }
            return .sealed(sealer)
        }
        guard let keyEncryptionKey else { return .plain }
        guard try !holdsKeys() else {
            throw OuroborosError(
                .storage,
                "“\(name)” was made without a key-encryption key, and its keys are not sealed: leave the key out, "
                    + "or export and import them into a new file")
        }
        let salt = Sealer.randomSalt()
        let sealer = try Sealer(keyEncryptionKey: keyEncryptionKey, salt: salt, label: label)
        let proof = try sealer.seal(UnsafeRawBufferPointer(start: nil, count: 0), context: proofContext)
        try put(salt, proof)
        return .sealed(sealer)
    }

    private static let proofContext = Data("ouroboros proof".utf8)

    package var isSealed: Bool {
        if case .plain = self { false } else { true }
    }

    /// What a secret is bound to: it does not open as another device's, kind's or epoch's.
    package static func context(
        _ what: String, device: DeviceID, kind: Credential.Kind, epoch: UInt64
    ) -> Data {
        var context = Data("ouroboros \(what)\0".utf8)
        withUnsafeBytes(of: formVersion.bigEndian) { context.append(contentsOf: $0) }
        context.append(contentsOf: device.bytes)
        context.append(kind == .fixed ? 0 : 1)
        withUnsafeBytes(of: epoch.bigEndian) { context.append(contentsOf: $0) }
        return context
    }

    /// A secret as a row holds it, and the name of that form.
    package func close(
        _ secret: UnsafeRawBufferPointer, context: Data, path: String
    ) throws -> (form: String, bytes: Data) {
        switch self {
        case .plain: return (Self.plainForm, Data(secret))
        case .sealed(let sealer): return (Self.sealedForm, try sealer.seal(secret, context: context))
        case .locked: throw Self.missingKey(path)
        }
    }

    /// `form` is how the row says that it is. A form that this version does not know is an error, and so is a
    /// plain row in a sealed store, which somebody else put there.
    package func open<Result>(
        _ bytes: Data, form: String, context: Data, path: String,
        _ body: (UnsafeRawBufferPointer) throws -> Result
    ) throws -> Result {
        switch (self, form) {
        case (.plain, Self.plainForm):
            return try bytes.withUnsafeBytes(body)
        case (.sealed(let sealer), Self.sealedForm):
            guard let result = try sealer.open(bytes, context: context, body) else {
                throw OuroborosError(
                    .storage, "a sealed key in “\(path)” does not open: the file was damaged or changed")
            }
            return result
        case (.locked, _):
            throw Self.missingKey(path)
        default:
            throw OuroborosError(
                .storage, "a key in “\(path)” is stored in a form that this version does not take")
        }
    }

    package static func missingKey(_ path: String) -> OuroborosError {
        OuroborosError(
            .storage,
            "the keys in “\(path)” are sealed: give the key-encryption key (--kek-file or --kek-env)")
    }
}
