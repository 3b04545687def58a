import LibC
import Ouroboros

package struct SendOutcome: Sendable {
    package var delivered = 0
    package var unknown = 0
    package var failed = 0
    package var refused = 0
    package var problem: OuroborosError?

    package var total: Int { delivered + unknown + failed + refused }

    package var summary: String {
        var parts = ["\(delivered) of \(total) delivered"]
        if unknown > 0 { parts.append("\(unknown) unknown (sent, may have arrived)") }
        if failed > 0 { parts.append("\(failed) never sent") }
        if refused > 0 { parts.append("\(refused) refused") }
        return parts.joined(separator: ", ")
    }
}

/// How far `send` has come, seen by several tasks.
package final class SendProgress: Sendable {
    private struct State {
        var outcome = SendOutcome()
        var underWay = 0
        var lastProgress = ContinuousClock.now
        var isAborted = false
    }

    private let state = Locked(State())

    package init() {}

    package var outcome: SendOutcome { state.withLock(\.outcome) }
    package var underWay: Int { state.withLock(\.underWay) }
    package var isAborted: Bool { state.withLock(\.isAborted) }

    package func begin() {
        state.withLock { state in
            if state.underWay == 0 {
                state.lastProgress = .now
            }
            state.underWay += 1
        }
    }

    package func delivered() {
        state.withLock { state in
            state.underWay -= 1
            state.outcome.delivered += 1
            state.lastProgress = .now
        }
    }

    /// A message that began ended without being delivered.
    package func ended(_ error: any Error) {
        let error = (error as? OuroborosError) ?? OuroborosError(.failed, "\(error)")
        state.withLock { state in
            state.underWay -= 1
            switch error.code {
            case .unknown, .stalled: state.outcome.unknown += 1
            case .tooLarge: state.outcome.refused += 1
            default: state.outcome.failed += 1
            }
            state.outcome.problem = state.outcome.problem ?? error
        }
    }

    /// A message that could not begin.
    package func refused(_ error: OuroborosError) {
        state.withLock { state in
            state.outcome.refused += 1
            state.outcome.problem = state.outcome.problem ?? error
        }
    }

    /// No message comes any more.
    package func stopped(_ error: any Error) {
        let error = (error as? OuroborosError) ?? OuroborosError(.transport, "\(error)")
        state.withLock { $0.outcome.problem = $0.outcome.problem ?? error }
    }

    /// What follows is the consequence of this.
    package func abort(_ error: OuroborosError) {
        state.withLock { state in
            state.isAborted = true
            state.outcome.problem = error
        }
    }

    package func isStalled(for timeout: Duration) -> Bool {
        state.withLock { $0.underWay > 0 && .now - $0.lastProgress > timeout }
    }
}
