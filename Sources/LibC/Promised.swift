/// What tasks wait for, and that comes once. A task that is cancelled goes on at once, and leaves nothing behind.
public final class Promised<Value: Sendable>: Sendable {
    private struct State {
        var result: Result<Value, any Error>?
        var waiters: [UInt64: CheckedContinuation<Value, any Error>] = [:]
        var lastWaiter: UInt64 = 0
    }

    private let state = Locked(State())

    public init() {}

    /// How many tasks wait.
    public var waiting: Int { state.withLock { $0.waiters.count } }

    /// The first result counts.
    public func finish(_ result: Result<Value, any Error>) {
        let (first, waiters) = state.withLock { state in
            let first = state.result ?? result
            state.result = first
            defer { state.waiters = [:] }
            return (first, Array(state.waiters.values))
        }
        for waiter in waiters {
            waiter.resume(with: first)
        }
    }

    public func value() async throws -> Value {
        let id = newWaiter()
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { wait(id, $0, isCancelled: Task.isCancelled) }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: id) }?.resume(throwing: CancellationError())
        }
    }

    /// The same for one who has to know, cancelled or not.
    func valueThoughCancelled() async throws -> Value {
        let id = newWaiter()
        return try await withCheckedThrowingContinuation { wait(id, $0, isCancelled: false) }
    }

    private func newWaiter() -> UInt64 {
        state.withLock { state in
            state.lastWaiter += 1
            return state.lastWaiter
        }
    }

    private func wait(_ id: UInt64, _ waiter: CheckedContinuation<Value, any Error>, isCancelled: Bool) {
        let result = state.withLock { state -> Result<Value, any Error>? in
            let result = state.result ?? (isCancelled ? .failure(CancellationError()) : nil)
            if result == nil {
                state.waiters[id] = waiter
            }
            return result
        }
        if let result {
            waiter.resume(with: result)
        }
    }
}
