import Ouroboros

/// Messages that an outbox could not write, in memory and in a box of their own: its numbers are on no disk, and so are
/// never used again.
struct UnsavedBox {
    private let box: UInt32
    private var next: UInt32 = 0
    private(set) var entries: [Outbox.Entry] = []
    private(set) var bytes = 0
    /// Those that went out once: they may have arrived, and keep their numbers.
    private var sent: Set<Int64> = []

    static let mostMessages = 1000
    static let mostBytes = 1 << 20

    init(box: UInt32) {
        self.box = box
    }

    var isEmpty: Bool { entries.isEmpty }

    static func holds(_ entry: Outbox.Entry) -> Bool { entry.id < 0 }

    /// Whether they go in, and no other has to make room.
    func hasRoom(for payloads: [[UInt8]]) -> Bool {
        entries.count + payloads.count <= Self.mostMessages
            && bytes + payloads.reduce(0) { $0 + $1.count } <= Self.mostBytes
    }

    /// Gives how many old ones made room; those that went out stay.
    mutating func append(_ payload: [UInt8], queuedAt: Int64) -> Int {
        let entry = Outbox.Entry(
            id: -Int64(next) - 1, position: OutboxPosition(box: box, sequence: next), queuedAt: queuedAt,
            payload: payload)
        next += 1
        entries.append(entry)
        bytes += payload.count
        var dropped = 0
        while entries.count > Self.mostMessages || bytes > Self.mostBytes,
            let oldest = entries.firstIndex(where: { !sent.contains($0.id) })
        {
            bytes -= entries.remove(at: oldest).payload.count
            dropped += 1
        }
        return dropped
    }

    /// The first that may go out, in order.
    mutating func take(
        limit: Int, reach: Int64, underWay: Set<Int64>, stalled: Set<Int64>
    ) -> [Outbox.Entry] {
        guard let lowest = entries.first(where: { !stalled.contains($0.id) }) else { return [] }
        let end = Int64(lowest.position.sequence) + reach
        let next = entries.prefix { $0.position.sequence < end }
            .filter { !underWay.contains($0.id) }.prefix(limit)
        sent.formUnion(next.map(\.id))
        return Array(next)
    }

    mutating func remove(_ ids: some Sequence<Int64>) {
        let gone = Set(ids)
        entries.removeAll { gone.contains($0.id) }
        sent.subtract(gone)
        bytes = entries.reduce(0) { $0 + $1.payload.count }
    }

    /// Those that never went out: they can be written after all.
    var unsent: [Outbox.Entry] { entries.filter { !sent.contains($0.id) } }
}
