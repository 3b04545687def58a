import OuroborosStore

/// How far a sink is, and how much of that its spool knows: while the spool's file cannot be written the sink goes on.
struct SinkProgress: Equatable {
    /// The sink has all up to this message.
    private(set) var position: Int64
    /// The spool knows that it has all up to this one.
    private(set) var recorded: Int64
    /// The last message of the batch that it was given last.
    private(set) var batchEnd: Int64

    init(_ state: SinkState) {
        position = state.position
        recorded = state.position
        batchEnd = state.batchEnd
    }

    var isRecorded: Bool { recorded == position }

    mutating func begin(through id: Int64) {
        batchEnd = id
    }

    mutating func delivered(through id: Int64) {
        position = id
    }

    mutating func record(through id: Int64) {
        recorded = id
    }
}
