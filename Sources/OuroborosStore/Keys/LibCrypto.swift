import CCrypto
import Foundation
import Ouroboros

/// What is used of OpenSSL's libcrypto. Its contexts erase themselves when they are freed.
package enum LibCrypto {
    package static func sha256(_ bytes: UnsafeRawBufferPointer) throws -> SecretKey {
        try key("hashing") { EVP_Digest(bytes.baseAddress, bytes.count, $0, nil, EVP_sha256(), nil) }
    }

    /// HKDF with SHA-256 (RFC 5869).
    static func hkdf(_ secret: SecretKey, salt: Data, label: String) throws -> SecretKey {
        let (salt, label) = (Array(salt), Array(label.utf8))
        let context = EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, nil)
        defer { EVP_PKEY_CTX_free(context) }
        let what = "deriving a key"
        try check(what) { EVP_PKEY_derive_init(context) }
        try check(what) { EVP_PKEY_CTX_set_hkdf_md(context, EVP_sha256()) }
        try check(what) { EVP_PKEY_CTX_set1_hkdf_salt(context, salt, Int32(salt.count)) }
        try check(what) {
            secret.withUnsafeBytes { EVP_PKEY_CTX_set1_hkdf_key(context, $0.octets, Int32($0.count)) }
        }
        try check(what) { EVP_PKEY_CTX_add1_hkdf_info(context, label, Int32(label.count)) }
        return try key(what) { output in
            var count = SecretKey.byteCount
            return EVP_PKEY_derive(context, output, &count)
        }
    }

    /// scrypt (RFC 7914) with r = 8 and p = 1.
    static func scrypt(_ passphrase: SecretBytes, salt: Data, rounds: Int) throws -> SecretKey {
        let salt = Array(salt)
        // The library's own limit, 32 MiB, is less than most efforts take.
        let memory = 128 * 8 * (rounds + 3)
        return try key("stretching the passphrase") { output in
            passphrase.withUnsafeBytes {
                EVP_PBE_scrypt(
                    $0.baseAddress?.assumingMemoryBound(to: CChar.self), $0.count, salt, salt.count,
                    UInt64(rounds), 8, 1, UInt64(memory), output, SecretKey.byteCount)
            }
        }
    }

    /// Throws unless the file holds certificates in PEM.
    package static func checkAuthorities(_ path: String) throws {
        let store = X509_STORE_new()
        defer { X509_STORE_free(store) }
        guard let reason = failure({ X509_STORE_load_file(store, path) }) else { return }
        throw OuroborosError(.storage, "“\(path)” holds no certificates in PEM: \(reason)")
    }

    private static func key(
        _ what: String, _ fill: (UnsafeMutablePointer<UInt8>?) -> Int32
    ) throws -> SecretKey {
        try SecretKey { output in try check(what) { fill(output.octets) } }
    }

    fileprivate static func check(_ what: String, _ call: () -> Int32) throws {
        guard let reason = failure(call) else { return }
        throw OuroborosError(.engine, "\(what) failed in the crypto library: \(reason)")
    }

    /// Why a call failed, in the library's words, which hold no values; nil if it did not.
    private static func failure(_ call: () -> Int32) -> String? {
        ERR_clear_error()
        guard call() != 1 else { return nil }
        defer { ERR_clear_error() }
        var text = [CChar](repeating: 0, count: 256)
        ERR_error_string_n(ERR_get_error(), &text, text.count)
        return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}

/// AES-256-GCM: nonce, ciphertext and tag.
enum AESGCM {
    static let nonceCount = 12
    private static let tagCount = 16

    static func seal(
        _ plain: UnsafeRawBufferPointer, nonce: [UInt8], context: Data, under key: SecretKey
    ) throws -> Data {
        var sealed = nonce + [UInt8](repeating: 0, count: plain.count + tagCount)
        try sealed.withUnsafeMutableBytes { sealed in
            let output = sealed.octets.map { $0 + nonceCount }
            let cipher = try Cipher(key, nonce: nonce, context: context, seals: true)
            try cipher.update(plain, to: output)
            try LibCrypto.check("sealing") { cipher.finish() }
            try cipher.tag(EVP_CTRL_AEAD_GET_TAG, output.map { $0 + plain.count })
        }
        return Data(sealed)
    }

    /// Nil when it was sealed otherwise, or was changed.
    static func open(_ sealed: Data, context: Data, under key: SecretKey) throws -> SecretBytes? {
        let count = sealed.count - nonceCount - tagCount
        guard count >= 0 else { return nil }
        var tag = Array(sealed.suffix(tagCount))
        let cipher = try Cipher(
            key, nonce: Array(sealed.prefix(nonceCount)), context: context, seals: false)
        try tag.withUnsafeMutableBytes { try cipher.tag(EVP_CTRL_AEAD_SET_TAG, $0.octets) }
        let plain = try SecretBytes.filled(count: count) { plain in
            try sealed.dropFirst(nonceCount).dropLast(tagCount).withUnsafeBytes {
                try cipher.update($0, to: plain.octets)
            }
        }
        return cipher.finish() == 1 ? plain : nil
    }

    private final class Cipher {
        private let cipher = EVP_CIPHER_CTX_new()

        init(_ key: SecretKey, nonce: [UInt8], context: Data, seals: Bool) throws {
            try LibCrypto.check("preparing a cipher") {
                key.withUnsafeBytes {
                    EVP_CipherInit_ex(cipher, EVP_aes_256_gcm(), nil, $0.octets, nonce, seals ? 1 : 0)
                }
            }
            try context.withUnsafeBytes { try update($0, to: nil) }
        }

        deinit { EVP_CIPHER_CTX_free(cipher) }

        /// Without an output the input is authenticated alone.
        func update(_ input: UnsafeRawBufferPointer, to output: UnsafeMutablePointer<UInt8>?) throws {
            // Nothing at all would be taken for the end.
            guard !input.isEmpty else { return }
            guard let size = Int32(exactly: input.count) else {
                throw OuroborosError(.tooLarge, "\(input.count) bytes are too many to be sealed at once")
            }
            var count: Int32 = 0
            try LibCrypto.check("ciphering") {
                EVP_CipherUpdate(cipher, output, &count, input.octets, size)
            }
        }

        func tag(_ order: Int32, _ tag: UnsafeMutablePointer<UInt8>?) throws {
            try LibCrypto.check("the tag") {
                EVP_CIPHER_CTX_ctrl(cipher, order, Int32(tagCount), tag)
            }
        }

        /// 1, unless the tag does not fit.
        func finish() -> Int32 {
            // A stream leaves nothing over.
            var rest = [UInt8](repeating: 0, count: 16)
            var count: Int32 = 0
            return EVP_CipherFinal_ex(cipher, &rest, &count)
        }
    }
}

extension UnsafeRawBufferPointer {
    fileprivate var octets: UnsafePointer<UInt8>? { baseAddress?.assumingMemoryBound(to: UInt8.self) }
}

extension UnsafeMutableRawBufferPointer {
    fileprivate var octets: UnsafeMutablePointer<UInt8>? { baseAddress?.assumingMemoryBound(to: UInt8.self) }
}
