import LibC
import Logging
import Ouroboros
import OuroborosNIO
import OuroborosStore
import OuroborosText

/// Brings what is in an outbox to the gateway, and connects as often as that takes.
struct OutboxDelivery: Sendable {
    let sender: OutboxSender
    private let client: ClientOptions
    private let identity: ClientOptions.Identity
    let logger: Logger
    private let taker: MessageTaker
    private let progress = Progress()

    /// Between two looks at the connection: while more may come, and while the rest is waited for.
    private static let look = Duration.seconds(1)
    private static let endingLook = Duration.milliseconds(250)
    /// Between two tries to connect.
    private static let longestPause = Duration.seconds(60)

    init(
        outbox: Outbox, client: ClientOptions, identity: ClientOptions.Identity, logger: Logger,
        taker: MessageTaker? = nil,
        onDelivered: @escaping @Sendable ([Outbox.Entry]) -> Void = { _ in }
    ) {
        self.client = client
        self.identity = identity
        self.logger = logger
        self.taker = taker ?? MessageTaker(command: nil, logger: logger)
        sender = OutboxSender(outbox) { [progress] entries in
            progress.advance(by: entries.count)
            onDelivered(entries)
        }
    }

    var outbox: Outbox { sender.outbox }
    var delivered: Int { progress.delivered }

    func noteUnremoved() {
        let count = outbox.unremoved
        guard count > 0 else { return }
        Output.note(
            "ouroboros: \(count) of them could not be taken out of the outbox (is the disk full?): they are sent again, "
                + "and a gateway with a spool takes them once")
    }

    /// Returns once ``OutboxSender/finish()`` was called and all is delivered. After that call it throws when the
    /// gateway does not answer; before, it tries again.
    func run() async throws {
        var backoff = Backoff(first: .seconds(1))
        while true {
            let before = progress.delivered
            do {
                return try await attempt()
            } catch let error as OuroborosError {
                try Task.checkCancellation()
                guard !sender.isFinishing, error.code != .storage, error.code != .invalidConfiguration else {
                    throw error
                }
                logger.warning("\(error.message); messages wait in the outbox")
            }
            if progress.delivered > before { backoff.reset() }
            try await sleep(backoff.next(upTo: Self.longestPause))
        }
    }

    private func sleep(_ pause: Duration) async throws {
        let end = ContinuousClock.now + pause
        while ContinuousClock.now < end, !sender.isFinishing {
            try await Task.sleep(for: .milliseconds(100))
        }
    }

    private func attempt() async throws {
        // An evolving credential may have moved since the last try.
        let credential = try identity.store?.credential() ?? identity.credential
        try await OuroborosClient.withConnection(
            to: identity.server, credential: credential, store: identity.store,
            configuration: identity.configuration
        ) { connection in
            progress.touch()
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    await taker.take(from: connection)
                    // The sender notices the end of the connection by itself.
                    try await Task.sleep(for: .seconds(1_000_000_000))
                }
                group.addTask { try await watch(connection) }
                group.addTask {
                    for await case .messageStalled(_, let position?) in connection.stateChanges {
                        sender.stalled(position)
                    }
                }
                let sending = Task {
                    try await sender.run(
                        { message in
                            let pending = try await connection.enqueue(message)
                            return { try await pending.delivered() }
                        }, giveUp: { await connection.giveUp($0) })
                }
                group.addTask {
                    try await withTaskCancellationHandler {
                        try await sending.value
                    } onCancel: {
                        sending.cancel()
                    }
                    throw Done()
                }
                do {
                    for try await _ in group {}
                } catch is Done {
                    group.cancelAll()
                }
            }
        }
    }

    private struct Done: Error {}

    /// Gives the gateway up when nothing more comes and it does not answer.
    private func watch(_ connection: OuroborosConnection) async throws {
        var isEnding = false
        while true {
            try await Task.sleep(for: sender.isFinishing ? Self.endingLook : Self.look)
            if connection.state == .closed {
                throw OuroborosError(.closed, "the connection is closed")
            }
            guard isEnding, !outbox.isEmpty else {
                isEnding = sender.isFinishing
                progress.touch()
                continue
            }
            if let timeout = client.timeout?.duration, progress.isStalled(for: timeout) {
                throw unreachable("\(timeout)")
            }
            if connection.state == .unreachable {
                throw unreachable("45 seconds or more")
            }
        }
    }

    private func unreachable(_ time: String) -> OuroborosError {
        OuroborosError(.unreachable, "\(identity.server) has stopped answering: nothing came within \(time)")
    }

    private final class Progress: Sendable {
        private let state = Locked((delivered: 0, last: ContinuousClock.now))

        var delivered: Int { state.withLock(\.delivered) }

        func advance(by count: Int) {
            state.withLock { $0 = ($0.delivered + count, .now) }
        }

        func touch() {
            state.withLock { $0.last = .now }
        }

        func isStalled(for time: Duration) -> Bool {
            state.withLock { .now - $0.last > time }
        }
    }
}
