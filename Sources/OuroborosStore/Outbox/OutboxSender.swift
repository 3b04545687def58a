import Ouroboros
import Synchronization

/// Sends what is in an outbox over a connection, in order, as the protocol's ONCE wants it.
public final class OutboxSender: Sendable {
    /// Hands a message over, and gives what to wait for: it throws an `OuroborosError` as a connection's send does.
    public typealias Post = @Sendable (OutgoingMessage) async throws -> @Sendable () async throws -> Void

    private enum Outcome: Sendable {
        case delivered(Outbox.Entry)
        case refused(Outbox.Entry)
        case notDelivered(Outbox.Entry)
    }

    private struct State {
        var outcomes: [Outcome] = []
        var isWoken = false
        var isFinishing = false
        var waiter: CheckedContinuation<Void, Never>?
    }

    public let outbox: Outbox
    private let state = Mutex(State())
    private let onDelivered: @Sendable ([Outbox.Entry]) -> Void

    /// `onDelivered` hears of what was acknowledged, once it has left the outbox.
    public init(_ outbox: Outbox, onDelivered: @escaping @Sendable ([Outbox.Entry]) -> Void = { _ in }) {
        self.outbox = outbox
        self.onDelivered = onDelivered
        outbox.onMore { [weak self] in self?.wake { $0.isWoken = true } }
    }

    deinit {
        outbox.onMore(nil)
    }

    /// Nothing more comes into the outbox: ``run(_:)`` returns when it is empty.
    public func finish() {
        wake { $0.isFinishing = true }
    }

    public var isFinishing: Bool { state.withLock(\.isFinishing) }

    /// Sends until the outbox is empty and ``finish()`` was called. It throws when the connection takes nothing
    /// more, or the task is cancelled: what was not acknowledged stays in the outbox. To be run once at a time.
    public func run(_ post: @escaping Post) async throws {
        state.withLock { state in
            state.outcomes = []
            state.isWoken = false
        }
        do {
            try await withThrowingDiscardingTaskGroup { group in
                while !(isFinishing && outbox.isEmpty) {
                    try await sendNext(post, &group)
                    await wait()
                    try Task.checkCancellation()
                    try settle()
                }
            }
        } catch {
            try settle()
            throw error
        }
    }

    private func sendNext(_ post: Post, _ group: inout ThrowingDiscardingTaskGroup<any Error>) async throws {
        let entries = try outbox.takeNext(limit: 64)
        for (index, entry) in entries.enumerated() {
            do {
                let outcome = try await post(OutgoingMessage(entry.payload, position: entry.position))
                group.addTask { [self] in
                    do {
                        try await outcome()
                        note(.delivered(entry))
                    } catch {
                        note(.notDelivered(entry))
                    }
                }
            } catch let error as OuroborosError where error.code == .tooLarge {
                note(.refused(entry))
            } catch {
                outbox.notDelivered(Array(entries[index...]))
                throw error
            }
        }
    }

    private func note(_ outcome: Outcome) {
        wake { $0.outcomes.append(outcome) }
    }

    /// What ended leaves the outbox: one transaction for all that came meanwhile.
    private func settle() throws {
        let outcomes = state.withLock { state in
            defer { state.outcomes = [] }
            return state.outcomes
        }
        var (delivered, refused, others): ([Outbox.Entry], [Outbox.Entry], [Outbox.Entry]) = ([], [], [])
        for outcome in outcomes {
            switch outcome {
            case .delivered(let entry): delivered.append(entry)
            case .refused(let entry): refused.append(entry)
            case .notDelivered(let entry): others.append(entry)
            }
        }
        outbox.notDelivered(others)
        try outbox.delivered(delivered)
        try outbox.refused(refused)
        if !delivered.isEmpty {
            onDelivered(delivered)
        }
    }

    private func wake(_ change: (inout State) -> Void) {
        let waiter = state.withLock { state in
            change(&state)
            return state.waiter.take()
        }
        waiter?.resume()
    }

    /// Until there is an outcome, or something more to send, or the end.
    private func wait() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isDue = state.withLock { state in
                    let isDone = state.isFinishing && outbox.isEmpty
                    guard state.outcomes.isEmpty, !state.isWoken, !isDone, !Task.isCancelled else {
                        state.isWoken = false
                        return true
                    }
                    state.waiter = continuation
                    return false
                }
                if isDue {
                    continuation.resume()
                }
            }
        } onCancel: {
            wake { _ in }
        }
    }
}
