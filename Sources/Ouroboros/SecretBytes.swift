internal import COuroboros

/// Bytes that are erased when the last reference goes away.
// @unchecked: the bytes are written in `init` alone and read after it, so nothing is ever shared and changed.
final class SecretBytes: @unchecked Sendable {
    private let base: UnsafeMutableRawBufferPointer

    init<Failure: Error>(
        count: Int, _ fill: (UnsafeMutableRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) {
        base = .allocate(byteCount: count, alignment: 8)
        base.initializeMemory(as: UInt8.self, repeating: 0)
        try fill(base)
    }

    deinit {
        ouro_erase(base.baseAddress, base.count)
        base.deallocate()
    }

    var count: Int { base.count }

    func withUnsafeBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(UnsafeRawBufferPointer(base))
    }

    /// The time that it takes depends on the length alone.
    func isEqual(to other: SecretBytes) -> Bool {
        guard count == other.count else { return false }
        return ouro_equal(
            base.baseAddress?.assumingMemoryBound(to: UInt8.self),
            other.base.baseAddress?.assumingMemoryBound(to: UInt8.self), count)
    }
}
