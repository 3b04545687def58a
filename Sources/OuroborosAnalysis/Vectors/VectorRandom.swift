/// The numbers that follow from a seed, the same everywhere: splitmix64 (Steele, Lea and Flood, OOPSLA 2014).
struct VectorRandom {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }

    mutating func bytes(_ count: Int) -> [UInt8] {
        (0..<count).map { _ in UInt8(truncatingIfNeeded: next() >> 56) }
    }

    /// Never 0.
    mutating func id() -> UInt32 {
        UInt32(truncatingIfNeeded: next() >> 32) | 1
    }
}
