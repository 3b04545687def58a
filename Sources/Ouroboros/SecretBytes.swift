internal import COuroboros

/// Bytes that are erased when the last reference goes away: a password, a passphrase, what a file of keys holds.
///
/// They print as `redacted` and compare in constant time.
// @unchecked: bytes and count are written in `filled` alone, before anybody else has them: nothing is shared and changed.
public final class SecretBytes: @unchecked Sendable {
    private let base: UnsafeMutableRawBufferPointer
    public private(set) var count = 0

    private init(capacity: Int) {
        base = .allocate(byteCount: capacity, alignment: 8)
        base.initializeMemory(as: UInt8.self, repeating: 0)
    }

    /// What `fill` puts into a buffer of so many bytes; it gives how many it took.
    // No initializer: those of classes may not be generic in Embedded Swift.
    public static func filled<Failure: Error>(
        atMost capacity: Int, by fill: (UnsafeMutableRawBufferPointer) throws(Failure) -> Int
    ) throws(Failure) -> SecretBytes {
        let bytes = SecretBytes(capacity: capacity)
        bytes.count = min(try fill(bytes.base), capacity)
        return bytes
    }

    /// The same, where all are taken.
    package static func filled<Failure: Error>(
        count: Int, by fill: (UnsafeMutableRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) -> SecretBytes {
        try filled(atMost: count) { (buffer) throws(Failure) in
            try fill(buffer)
            return count
        }
    }

    /// A copy. What is copied stays the caller's to erase.
    public static func copying(_ source: some Collection<UInt8>) -> SecretBytes {
        filled(count: source.count) { $0.copyBytes(from: source) }
    }

    /// One after the other.
    package static func joined(_ parts: [SecretBytes]) -> SecretBytes {
        filled(count: parts.reduce(0) { $0 + $1.count }) { buffer in
            var place = 0
            for part in parts {
                part.withUnsafeBytes {
                    UnsafeMutableRawBufferPointer(rebasing: buffer[place...]).copyBytes(from: $0)
                }
                place += part.count
            }
        }
    }

    deinit {
        ouro_erase(base.baseAddress, base.count)
        base.deallocate()
    }

    public func withUnsafeBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(UnsafeRawBufferPointer(rebasing: base[..<count]))
    }
}

extension SecretBytes: Equatable {
    /// The time that it takes depends on the length alone.
    public static func == (left: SecretBytes, right: SecretBytes) -> Bool {
        guard left.count == right.count else { return false }
        return ouro_equal(left.base.octets, right.base.octets, left.count)
    }
}

extension SecretBytes: CustomStringConvertible {
    public var description: String { "redacted" }
}
