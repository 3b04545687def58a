import Foundation
import Ouroboros

/// Seals small secrets with AES-256-GCM, a fresh random nonce each time.
///
/// Its key is derived for one store (or export) from what its user holds, so that a row of one store does not
/// open in another, and the count of nonces under one key is that store's own.
package struct Sealer: Sendable {
    static let saltCount = 16

    private let key: SecretKey

    init(keyEncryptionKey: SecretKey, salt: Data, label: String) throws {
        key = try LibCrypto.hkdf(keyEncryptionKey, salt: salt, label: label)
    }

    init(passphrase: SecretBytes, salt: Data, rounds: Int) throws {
        key = try LibCrypto.scrypt(passphrase, salt: salt, rounds: rounds)
    }

    static func randomSalt() -> Data {
        Data(randomBytes(saltCount))
    }

    private static func randomBytes(_ count: Int) -> [UInt8] {
        var generator = SystemRandomNumberGenerator()
        return (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
    }

    /// Nonce, ciphertext and tag.
    func seal(_ plain: UnsafeRawBufferPointer, context: Data) throws -> Data {
        try AESGCM.seal(
            plain, nonce: Self.randomBytes(AESGCM.nonceCount), context: context, under: key)
    }

    /// Nil when it was sealed under another key, for another context, or was changed.
    func open<Result>(
        _ sealed: Data, context: Data, _ body: (UnsafeRawBufferPointer) throws -> Result
    ) throws -> Result? {
        try AESGCM.open(sealed, context: context, under: key)?.withUnsafeBytes(body)
    }
}
