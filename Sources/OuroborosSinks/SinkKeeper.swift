import LibC
import Logging
import Ouroboros

/// Starts a sink's work again when it fails, or ends by itself, and tells of it: the other sinks go on.
final class SinkKeeper: Sendable {
    private let sink: String
    private let logger: Logger
    private let trouble = Locked<(failure: OuroborosError, until: ContinuousClock.Instant)?>(nil)

    private static let longestPause = Duration.seconds(60)
    /// Work that failed once and is done again for so long is well.
    private static let calm = Duration.seconds(5)

    init(_ sink: String, logger: Logger) {
        self.sink = sink
        self.logger = logger
    }

    /// Throws while the work has failed, or did just now.
    func check() throws {
        guard let trouble = trouble.withLock(\.self), .now < trouble.until else { return }
        throw trouble.failure
    }

    /// Until `isOver`, or the task is cancelled.
    func keep(_ isOver: @Sendable () -> Bool, _ work: () async throws -> Void) async {
        var backoff = Backoff.ofSinks
        var telling = Telling<String>()
        while !Task.isCancelled {
            let began = ContinuousClock.now
            var problem = "it has ended by itself"
            do {
                try await work()
                guard !isOver() else { return }
            } catch {
                problem = "\(error)"
            }
            guard !Task.isCancelled else { return }
            guard !isOver() else { return logger.error("the sink has failed: \(problem)") }
            if .now - began > Self.longestPause { backoff.reset() }
            let pause = backoff.next(upTo: Self.longestPause)
            note(problem, until: .now + pause + Self.calm)
            if telling.isDue(problem) {
                logger.error("the sink has failed, and is started again: \(problem)")
            }
            let end = ContinuousClock.now + pause
            while ContinuousClock.now < end, !isOver(), !Task.isCancelled {
                try? await Task.sleep(for: .milliseconds(100))
            }
            guard !isOver() else { return }
        }
    }

    private func note(_ problem: String, until end: ContinuousClock.Instant) {
        let failure = OuroborosError(
            .failed, "the sink “\(sink)” has failed, and is started again: \(problem)")
        trouble.withLock { $0 = (failure, end) }
    }
}
