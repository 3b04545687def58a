import LibC
import Ouroboros

/// One message on its way, between the task that sends it and the event loop.
final class SendTicket: Sendable {
    let message: OutgoingMessage

    private struct State {
        var isAccepted = false
        var result: Result<Void, OuroborosError>?
        var acceptance: CheckedContinuation<Void, any Error>?
        var outcome: CheckedContinuation<Void, any Error>?
    }

    private let state = Locked(State())

    init(_ message: OutgoingMessage) {
        self.message = message
    }

    var isFinished: Bool { state.withLock { $0.result != nil } }

    // MARK: The event loop's side

    /// The engine has the message.
    func accept() {
        let waiter = state.withLock { state in
            state.isAccepted = true
            return state.acceptance.take()
        }
        waiter?.resume()
    }

    /// The first outcome counts.
    func finish(_ result: Result<Void, OuroborosError>) {
        let (acceptance, outcome) = state.withLock { state in
            if state.result == nil {
                state.result = result
            }
            return (state.acceptance.take(), state.outcome.take())
        }
        acceptance?.resume(with: result.mapError { $0 })
        outcome?.resume(with: result.mapError { $0 })
    }

    // MARK: The task's side, once each

    func accepted() async throws {
        try await withCheckedThrowingContinuation { continuation in
            let now: Result<Void, any Error>? = state.withLock { state in
                if let result = state.result {
                    return result.mapError { $0 }
                }
                if state.isAccepted {
                    return .success(())
                }
                state.acceptance = continuation
                return nil
            }
            if let now {
                continuation.resume(with: now)
            }
        }
    }

    func outcome() async throws {
        try await withCheckedThrowingContinuation { continuation in
            let now = state.withLock { state in
                if state.result == nil {
                    state.outcome = continuation
                }
                return state.result
            }
            if let now {
                continuation.resume(with: now.mapError { $0 })
            }
        }
    }
}
