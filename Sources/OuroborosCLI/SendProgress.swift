import Ouroboros
import Synchronization

struct SendOutcome: Sendable {
    var delivered = 0
    var unknown = 0
    var failed = 0
    var refused = 0
    var problem: OuroborosError?

    var total: Int { delivered + unknown + failed + refused }

    var summary: String {
        var parts = ["\(delivered) of \(total) delivered"]
        if unknown > 0 { parts.append("\(unknown) unknown (sent, may have arrived)") }
        if failed > 0 { parts.append("\(failed) never sent") }
        if refused > 0 { parts.append("\(refused) refused") }
        return parts.joined(separator: ", ")
    }
}

/// How far `send` has come, seen by several tasks.
final class SendProgress: Sendable {
    private struct State {
        var outcome = SendOutcome()
        var underWay = 0
        var lastProgress = ContinuousClock.now
        var isAborted = false
    }

    private let state = Mutex(State())

    var outcome: SendOutcome { state.withLock(\.outcome) }
    var underWay: Int { state.withLock(\.underWay) }
    var isAborted: Bool { state.withLock(\.isAborted) }

    func begin() {
        state.withLock { state in
            if state.underWay == 0 {
                state.lastProgress = .now
            }
            state.underWay += 1
        }
    }

    func delivered() {
        state.withLock { state in
            state.underWay -= 1
            state.outcome.delivered += 1
            state.lastProgress = .now
        }
    }

    /// A message that began ended without being delivered.
    func ended(_ error: any Error) {
        let error = (error as? OuroborosError) ?? OuroborosError(.failed, "\(error)")
        state.withLock { state in
            state.underWay -= 1
            switch error.code {
            case .unknown: state.outcome.unknown += 1
            case .tooLarge: state.outcome.refused += 1
            default: state.outcome.failed += 1
            }
            state.outcome.problem = state.outcome.problem ?? error
        }
    }

    /// A message that could not begin.
    func refused(_ error: OuroborosError) {
        state.withLock { state in
            state.outcome.refused += 1
            state.outcome.problem = state.outcome.problem ?? error
        }
    }

    /// No message comes any more.
    func stopped(_ error: any Error) {
        let error = (error as? OuroborosError) ?? OuroborosError(.transport, "\(error)")
        state.withLock { $0.outcome.problem = $0.outcome.problem ?? error }
    }

    /// What follows is the consequence of this.
    func abort(_ error: OuroborosError) {
        state.withLock { state in
            state.isAborted = true
            state.outcome.problem = error
        }
    }

    func isStalled(for timeout: Duration) -> Bool {
        state.withLock { $0.underWay > 0 && .now - $0.lastProgress > timeout }
    }
}
