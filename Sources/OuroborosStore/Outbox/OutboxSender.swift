import LibC
import Ouroboros

/// Sends what is in an outbox over a connection, in order, as the protocol's ONCE wants it.
public final class OutboxSender: Sendable {
    /// Hands a message over, and gives what to wait for: it throws an `OuroborosError` as a connection's send does.
    public typealias Post = @Sendable (OutgoingMessage) async throws -> @Sendable () async throws -> Void
    /// Tells the connection that a message which was *unknown* will not come again, as a connection's `giveUp` does.
    public typealias GiveUp = @Sendable (OutboxPosition) async -> Void

    private enum Outcome: Sendable {
        case delivered(Outbox.Entry)
        case refused(Outbox.Entry)
        case notDelivered(Outbox.Entry, mayHaveArrived: Bool)
    }

    private struct State {
        var outcomes: [Outcome] = []
        var underWay: [OutboxPosition: Outbox.Entry] = [:]
        /// What was *unknown* and was not given again since.
        var unknown: Set<OutboxPosition> = []
        var isWoken = false
        var isFinishing = false
        var waiter: CheckedContinuation<Void, Never>?

        mutating func settle(_ outcome: Outcome) {
            switch outcome {
            case .delivered(let entry), .refused(let entry): underWay[entry.position] = nil
            case .notDelivered(let entry, let mayHaveArrived):
                underWay[entry.position] = nil
                if mayHaveArrived { unknown.insert(entry.position) }
            }
        }
    }

    public let outbox: Outbox
    private let state = Locked(State())
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

    /// Nothing more comes into the outbox: ``run(_:giveUp:)`` returns when it is empty.
    public func finish() {
        wake { $0.isFinishing = true }
    }

    public var isFinishing: Bool { state.withLock(\.isFinishing) }

    /// The message of that position does not get through, though others do: these go on, and it is given up in the end.
    public func stalled(_ position: OutboxPosition) {
        guard let entry = state.withLock({ $0.underWay[position] }) else { return }
        outbox.stalled(entry)
        wake { $0.isWoken = true }
    }

    /// Sends until the outbox is empty and ``finish()`` was called. It throws when the connection takes nothing
    /// more, or the task is cancelled: what was not acknowledged stays in the outbox. To be run once at a time.
    public func run(_ post: @escaping Post, giveUp: GiveUp = { _ in }) async throws {
        state.withLock { state in
            state.outcomes = []
            state.underWay = [:]
            state.unknown = []
            state.isWoken = false
        }
        do {
            try await withThrowingDiscardingTaskGroup { group in
                while !(isFinishing && outbox.isEmpty) {
                    try await sendNext(post, giveUp, &group)
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

    private func sendNext(
        _ post: Post, _ giveUp: GiveUp, _ group: inout ThrowingDiscardingTaskGroup<any Error>
    ) async throws {
        let entries = try outbox.takeNext(limit: 64)
        // What has left the outbox meanwhile would hold up those above it for ever.
        let gone = state.withLock { state in
            let gone = state.unknown.subtracting(entries.map(\.position))
            state.unknown.subtract(gone)
            for entry in entries { state.underWay[entry.position] = entry }
            return gone
        }
        for position in gone { await giveUp(position) }
        for (index, entry) in entries.enumerated() {
            do {
                let outcome = try await post(OutgoingMessage(entry.payload, position: entry.position))
                _ = settled(entry)
                group.addTask { [self] in
                    do {
                        try await outcome()
                        note(.delivered(entry))
                    } catch let error as OuroborosError where error.code == .stalled {
                        note(.refused(entry))
                    } catch {
                        let mayHaveArrived = (error as? OuroborosError)?.code == .unknown
                        note(.notDelivered(entry, mayHaveArrived: mayHaveArrived))
                    }
                }
            } catch let error as OuroborosError where error.code == .tooLarge {
                if settled(entry) { await giveUp(entry.position) }
                note(.refused(entry))
            } catch {
                outbox.notDelivered(Array(entries[index...]))
                throw error
            }
        }
    }

    /// True for one that was *unknown* until now.
    private func settled(_ entry: Outbox.Entry) -> Bool {
        state.withLock { $0.unknown.remove(entry.position) != nil }
    }

    private func note(_ outcome: Outcome) {
        wake { $0.outcomes.append(outcome) }
    }

    /// What ended leaves the outbox: one transaction for all that came meanwhile.
    private func settle() throws {
        let outcomes = state.withLock { state in
            defer { state.outcomes = [] }
            for outcome in state.outcomes { state.settle(outcome) }
            return state.outcomes
        }
        var (delivered, refused, others): ([Outbox.Entry], [Outbox.Entry], [Outbox.Entry]) = ([], [], [])
        for outcome in outcomes {
            switch outcome {
            case .delivered(let entry): delivered.append(entry)
            case .refused(let entry): refused.append(entry)
            case .notDelivered(let entry, _): others.append(entry)
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
