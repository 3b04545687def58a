internal import COuroboros

/// Bytes that are erased when the last reference goes away.
// @unchecked: the bytes are written in `filled` alone, before anybody else has them: nothing is shared and changed.
final class SecretBytes: @unchecked Sendable {
    private let base: UnsafeMutableRawBufferPointer

    private init(count: Int) {
        base = .allocate(byteCount: count, alignment: 8)
        base.initializeMemory(as: UInt8.self, repeating: 0)
    }

    /// Not an initializer: those of classes may not be generic in Embedded Swift.
    static func filled<Failure: Error>(
        count: Int, by fill: (UnsafeMutableRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) -> SecretBytes {
        let bytes = SecretBytes(count: count)
        try fill(bytes.base)
        return bytes
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
