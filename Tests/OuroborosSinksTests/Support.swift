import Foundation
import LibC
import Ouroboros
import OuroborosStore
import TestSupport

@testable import OuroborosSinks

typealias Scratch = TestSupport.Scratch

extension Spool {
    /// Stores one message a text, and gives the id of the last.
    @discardableResult
    func store(_ texts: [String], from device: DeviceID = DeviceID(number: 1)) throws -> Int64 {
        let messages = texts.enumerated().map { index, text in
            (device, Message(sessionID: 7, counter: UInt64(index), payload: Array(text.utf8)))
        }
        _ = try store(messages, now: 1_700_000_000_000)
        return try lastID()
    }
}

/// A sink that remembers, and refuses as often as it is told to.
final class MemorySink: Sink {
    struct State {
        var refusals: Int
        var batches: [SinkBatch] = []
        var taken: [String] = []
    }

    let name: String
    let batchLimit: Int
    let longestPause = Duration.milliseconds(20)
    let state: Locked<State>
    private let answer: @Sendable (SinkBatch) -> SinkFailure?

    init(
        _ name: String = "memory", refusing refusals: Int = 0, batchLimit: Int = 3,
        answer: @escaping @Sendable (SinkBatch) -> SinkFailure? = { _ in nil }
    ) {
        self.name = name
        self.batchLimit = batchLimit
        self.answer = answer
        state = Locked(State(refusals: refusals))
    }

    var taken: [String] { state.withLock(\.taken) }
    var keys: [String] { state.withLock { $0.batches.map(\.key) } }

    func deliver(_ batch: SinkBatch) async throws {
        try state.withLock { state in
            state.batches.append(batch)
            guard state.refusals == 0 else {
                state.refusals -= 1
                throw SinkFailure("not now")
            }
            if let failure = answer(batch) { throw failure }
            state.taken += batch.texts
        }
    }
}

extension SinkBatch {
    var texts: [String] { messages.map { String(decoding: $0.payload, as: UTF8.self) } }
}

extension Locked where Value: Sendable {
    var value: Value { withLock { $0 } }
    func set(_ new: Value) { withLock { $0 = new } }
}
