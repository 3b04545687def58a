internal import COuroboros

/// A credential as bytes that are the same for every machine (PROTOCOL.md, appendix C).
package enum CredentialBlob {
    package static let count = Int(OURO_BLOB_SIZE)

    package static func bytes(of credential: Credential) -> SecretBytes {
        SecretBytes.filled(count: count) { write(credential, to: $0) }
    }

    /// To a buffer of ``count`` bytes.
    package static func write(_ credential: Credential, to blob: UnsafeMutableRawBufferPointer) {
        precondition(blob.count == count, "a blob has \(count) bytes")
        credential.withEngineForm { ouro_blob_write($0, blob.octets) }
    }

    /// Nil for what is none, or has flags that this version does not know.
    package static func read(_ blob: UnsafeRawBufferPointer) -> Credential? {
        var raw = ouro_credential()
        defer { ouro_erase(&raw, MemoryLayout<ouro_credential>.size) }
        guard ouro_blob_read(blob.octets, blob.count, &raw) == OURO_BLOB_SOUND else { return nil }
        return Credential(&raw)
    }
}
