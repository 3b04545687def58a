import Ouroboros

/// A credential as 49 bytes, the same for every machine: flags (bit 0: it evolves), device id 8, key 32, epoch 8, the last
/// big-endian and 0 where the credential is fixed.
package enum CredentialBlob {
    package static let count = 1 + DeviceID.byteCount + SecretKey.byteCount + 8

    private static let evolving: UInt8 = 1
    private static let keyAt = 1 + DeviceID.byteCount
    private static let epochAt = keyAt + SecretKey.byteCount

    package static func bytes(of credential: Credential) -> SecretBytes {
        SecretBytes.filled(count: count) { write(credential, to: $0) }
    }

    /// To a buffer of ``count`` bytes.
    static func write(_ credential: Credential, to blob: UnsafeMutableRawBufferPointer) {
        blob[0] = credential.kind == .evolving ? evolving : 0
        credential.deviceID.withUnsafeBytes { part(of: blob, from: 1).copyMemory(from: $0) }
        credential.key.withUnsafeBytes { part(of: blob, from: keyAt).copyMemory(from: $0) }
        withUnsafeBytes(of: credential.epoch.bigEndian) { part(of: blob, from: epochAt).copyMemory(from: $0) }
    }

    /// Nil for what is none, or has flags that this version does not know.
    static func read(_ blob: UnsafeRawBufferPointer) throws -> Credential? {
        guard blob.count == count, blob[0] & ~evolving == 0 else { return nil }
        let device = try DeviceID(blob[1..<keyAt])
        let key = try SecretKey(blob[keyAt..<epochAt])
        let epoch = blob[epochAt...].reduce(0) { $0 << 8 | UInt64($1) }
        guard blob[0] == evolving else { return epoch == 0 ? .fixed(device: device, rootKey: key) : nil }
        return .evolving(device: device, epoch: epoch, key: key)
    }

    private static func part(
        of blob: UnsafeMutableRawBufferPointer, from offset: Int
    ) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(rebasing: blob[offset...])
    }
}
