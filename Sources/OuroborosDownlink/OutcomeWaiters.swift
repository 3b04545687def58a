import LibC

/// Those who wait for the outcomes of messages.
final class OutcomeWaiters: Sendable {
    private struct State {
        var waiters: [Int64: [Int: AsyncStream<Never>.Continuation]] = [:]
        var next = 0
        var isOver = false
    }

    private let state = Locked(State())

    /// The messages that somebody waits for.
    var messages: [Int64] { state.withLock { Array($0.waiters.keys) } }

    /// Returns when the outcome is known, or the time is over, or nobody waits any more. `isKnown` looks once somebody
    /// waits, so that no outcome falls between.
    func wait(
        for message: Int64, within limit: Duration, unless isKnown: @escaping @Sendable () async -> Bool
    ) async {
        let (stream, signal) = AsyncStream.makeStream(of: Never.self)
        guard let waiter = add(signal, for: message) else { return }
        let watches = [
            Task {
                try? await Task.sleep(for: limit)
                signal.finish()
            },
            Task {
                if await isKnown() { signal.finish() }
            },
        ]
        var signals = stream.makeAsyncIterator()
        _ = await signals.next()
        for watch in watches { watch.cancel() }
        state.withLock { state in
            state.waiters[message]?[waiter] = nil
            if state.waiters[message]?.isEmpty == true { state.waiters[message] = nil }
        }
    }

    private func add(_ signal: AsyncStream<Never>.Continuation, for message: Int64) -> Int? {
        state.withLock { state in
            guard !state.isOver else { return nil }
            state.next += 1
            state.waiters[message, default: [:]][state.next] = signal
            return state.next
        }
    }

    func settled(_ message: Int64) {
        for signal in state.withLock({ $0.waiters[message] ?? [:] }).values {
            signal.finish()
        }
    }

    /// From now on nobody waits.
    func finish() {
        let waiters = state.withLock { state in
            state.isOver = true
            return state.waiters
        }
        for signal in waiters.values.flatMap(\.values) {
            signal.finish()
        }
    }
}
