/// Which messages of one box came (PROTOCOL.md, section 6, "Once, across sessions").
package struct OnceRecord: Equatable {
    /// The boxes of a device that are remembered.
    package static let boxesPerDevice = 4

    package private(set) var highest: UInt32
    /// Bit i stands for `highest - 1 - i`.
    package private(set) var below: UInt64

    package init(first sequence: UInt32) {
        self.init(highest: sequence, below: 0)
    }

    package init(highest: UInt32, below: UInt64) {
        self.highest = highest
        self.below = below
    }

    /// True if it is to be handed on; false for one that came before, or that is more than 64 below the highest.
    package mutating func take(_ sequence: UInt32) -> Bool {
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
