import Crypto
import Foundation
import LibC
import Ouroboros

/// Seals small secrets with AES-256-GCM, a fresh random nonce each time.
///
/// Its key is derived for one store (or export) from what its user holds, so that a row of one store does not
/// open in another, and the count of nonces under one key is that store's own.
package struct Sealer: Sendable {
    static let saltCount = 16

    private let key: SymmetricKey

    init(keyEncryptionKey: SecretKey, salt: Data, label: String) {
        let input = keyEncryptionKey.withUnsafeBytes { SymmetricKey(data: $0) }
        key = HKDF<SHA256>.deriveKey(
            inputKeyMaterial: input, salt: salt, info: Data(label.utf8), outputByteCount: 32)
    }

    init(derived key: SymmetricKey) {
        self.key = key
    }

    static func randomSalt() -> Data {
        var generator = SystemRandomNumberGenerator()
        return Data((0..<saltCount).map { _ in UInt8.random(in: .min ... .max, using: &generator) })
    }

    /// Nonce, ciphertext and tag.
    func seal(_ plain: UnsafeRawBufferPointer, context: Data) throws -> Data {
        // What `Data` holds here is the caller's memory, not a copy.
        let message = plain.bytesNoCopy
        guard let sealed = try? AES.GCM.seal(message, using: key, authenticating: context).combined else {
            throw OuroborosError(.engine, "sealing failed in the crypto library")
        }
        return sealed
    }

    /// Nil when it was sealed under another key, for another context, or was changed.
    func open<Result>(
        _ sealed: Data, context: Data, _ body: (UnsafeRawBufferPointer) throws -> Result
    ) rethrows -> Result? {
        guard let box = try? AES.GCM.SealedBox(combined: sealed),
            var plain = try? AES.GCM.open(box, using: key, authenticating: context)
        else { return nil }
        defer { Erasing.erase(&plain) }
        return try plain.withUnsafeBytes(body)
    }
}

/// Memory that held secrets.
public enum Erasing {
    public static func erase(_ data: inout Data) {
        data.withUnsafeMutableBytes(erase)
    }

    public static func erase(_ bytes: inout [UInt8]) {
        bytes.withUnsafeMutableBytes(erase)
    }

    private static func erase(_ buffer: UnsafeMutableRawBufferPointer) {
        guard let base = buffer.baseAddress else { return }
        explicit_bzero(base, buffer.count)
    }
}

extension UnsafeRawBufferPointer {
    fileprivate var bytesNoCopy: Data {
        guard let baseAddress else { return Data() }
        return Data(
            bytesNoCopy: UnsafeMutableRawPointer(mutating: baseAddress), count: count, deallocator: .none)
    }
}
