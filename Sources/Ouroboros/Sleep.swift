internal import COuroboros

/// A session that sleeps. It holds keys, is erased when it goes away, and can be restored once.
///
/// Keep it where an old copy cannot come back, and make the copy void, durably, before it is restored.
public struct SavedSession: Sendable {
    private let secret: SecretBytes

    init(count: Int, _ fill: (UnsafeMutableRawBufferPointer) -> Void) {
        secret = SecretBytes.filled(count: count, by: fill)
    }

    /// A session from the bytes that ``withUnsafeBytes(_:)`` gave; the caller's own are the caller's to erase.
    public init(_ bytes: some Collection<UInt8>) {
        self.init(count: bytes.count) { $0.copyBytes(from: bytes) }
    }

    public func withUnsafeBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try secret.withUnsafeBytes(body)
    }

    var count: Int { secret.count }
}

extension SavedSession: CustomStringConvertible {
    public var description: String { "redacted" }
}

extension Link {
    /// True if the session is quiet enough to be saved.
    public var isQuiet: Bool { ouro_link_is_quiet(raw) }

    /// Takes the session out of the link, which sends and takes nothing until it is restored or connected.
    public func save(now: UInt64) throws(OuroborosError) -> SavedSession {
        let capacity = ouro_saved_size(raw.pointee.settings.pointee.reach)
        var length = 0
        var status = OURO_OK
        let saved = withUnsafeTemporaryAllocation(byteCount: capacity, alignment: 8) { buffer in
            defer { ouro_erase(buffer.baseAddress, buffer.count) }
            status = ouro_link_save(raw, now, buffer.octets, buffer.count, &length)
            return SavedSession(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[..<length]))
        }
        try OuroborosError.check(status, "saving a session")
        return saved
    }

    /// Goes on with a saved session. `slept` is the time since it was saved, 0 if that is not known.
    public func restore(_ saved: SavedSession, slept: UInt64, now: UInt64) throws(OuroborosError) {
        let status = withUnsafeTemporaryAllocation(byteCount: saved.count, alignment: 8) { copy in
            defer { ouro_erase(copy.baseAddress, copy.count) }
            saved.withUnsafeBytes { copy.copyMemory(from: $0) }
            return ouro_link_restore(raw, now, slept, copy.octets, copy.count)
        }
        try OuroborosError.check(status, "restoring a session")
    }
}
