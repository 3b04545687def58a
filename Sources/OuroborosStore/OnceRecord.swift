/// Which messages of one box came (PROTOCOL.md, section 6, "Once, across sessions").
struct OnceRecord: Equatable {
    private(set) var highest: UInt32
    /// Bit i stands for `highest - 1 - i`.
    private(set) var below: UInt64

    init(first sequence: UInt32) {
        self.init(highest: sequence, below: 0)
    }

    init(highest: UInt32, below: UInt64) {
        self.highest = highest
        self.below = below
    }

    /// True if it is to be handed on; false for one that came before, or that is more than 64 below the highest.
    mutating func take(_ sequence: UInt32) -> Bool {
        if sequence > highest {
            let step = sequence - highest
            // Shifts of 64 and more leave 0.
            below = below << step | 1 << (step - 1)
            highest = sequence
            return true
        }
        let distance = highest - sequence
        guard (1...64).contains(distance) else { return false }
        let bit: UInt64 = 1 << (distance - 1)
        guard below & bit == 0 else { return false }
        below |= bit
        return true
    }
}
