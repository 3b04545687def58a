/// How many messages go into a batch: fewer after one that was refused, and more again while they are taken.
struct BatchSize {
    private(set) var now: Int
    private let most: Int
    /// What the other side was not found to be too large.
    private var ceiling: Int
    private var takenInARow = 0

    /// After so many batches larger ones are tried again.
    private static let patience = 32

    init(most: Int) {
        now = most
        self.most = most
        ceiling = most
    }

    /// A batch of `count` was refused, because of its size, or of something in it.
    mutating func refused(_ count: Int, isTooLarge: Bool) {
        now = max(1, count / 2)
        guard isTooLarge else { return }
        ceiling = now
        takenInARow = 0
    }

    mutating func taken() {
        takenInARow += 1
        if takenInARow >= Self.patience {
            takenInARow = 0
            ceiling = min(ceiling * 2, most)
        }
        now = min(now * 2, ceiling)
    }

    /// It was one message: others may be of another size.
    mutating func foundMessage() {
        ceiling = most
    }
}
