#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// Numbers that only look random, the same for the same seed: the C library's 48-bit generator. No secret.
struct SeededJitter: Sendable {
    private var state: (UInt16, UInt16, UInt16)

    init(seed: UInt32) {
        // What srand48 does.
        state = (0x330e, UInt16(truncatingIfNeeded: seed), UInt16(seed >> 16))
    }

    /// From 0 to 1, 1 left out.
    mutating func next() -> Double {
        withUnsafeMutableBytes(of: &state) { bytes in
            bytes.bindMemory(to: UInt16.self).baseAddress.map { erand48($0) } ?? 0
        }
    }

    /// A generator of its own, for another device.
    mutating func split() -> SeededJitter {
        SeededJitter(seed: UInt32(next() * 0x1p32))
    }
}
