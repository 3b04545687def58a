import Foundation
import Synchronization

/// What blocks for as long as it likes, on a thread of its own: neither the tasks' threads nor NIO's, of which a small
/// machine has one, wait for it.
enum OwnThread {
    static func run<Value: Sendable>(
        _ body: @escaping @Sendable () throws -> Value
    ) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread { continuation.resume(with: Result { try body() }) }
        }
    }

    /// The same; once the task is cancelled it throws, and leaves the thread to what it waits for.
    static func runUnlessCancelled<Value: Sendable>(
        _ body: @escaping @Sendable () throws -> Value
    ) async throws -> Value {
        let wait = Wait<Value>()
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                guard wait.begin(continuation) else { return }
                Thread.detachNewThread { wait.end(Result { try body() }) }
            }
        } onCancel: {
            wait.end(.failure(CancellationError()))
        }
    }

    private final class Wait<Value: Sendable>: Sendable {
        private enum State {
            case new
            case waiting(CheckedContinuation<Value, any Error>)
            case over
        }

        private let state = Mutex(State.new)

        /// False if it was cancelled before it began.
        func begin(_ continuation: CheckedContinuation<Value, any Error>) -> Bool {
            let isNew = state.withLock { state in
                guard case .new = state else { return false }
                state = .waiting(continuation)
                return true
            }
            if !isNew {
                continuation.resume(throwing: CancellationError())
            }
            return isNew
        }

        func end(_ outcome: Result<Value, any Error>) {
            let before = state.withLock { state in
                defer { state = .over }
                return state
            }
            if case .waiting(let continuation) = before {
                continuation.resume(with: outcome)
            }
        }
    }
}
