import Logging
import Ouroboros

/// Waits for files that cannot be used now.
struct FileWait {
    private let logger: Logger

    private static let longestPause = Duration.seconds(2)
    /// The same is told again after so long.
    private static let toldAgain = Duration.seconds(60)

    init(_ logger: Logger) {
        self.logger = logger
    }

    /// Tries until it is done; for what is opened before anything is served.
    func untilPossible<Value>(
        isolation: isolated (any Actor)? = #isolation, _ body: () async throws -> Value
    ) async throws -> Value {
        var backoff = Backoff(first: .milliseconds(250))
        var told: ContinuousClock.Instant?
        while true {
            do {
                return try await body()
            } catch let error as OuroborosError where error.code == .busy {
                if told.map({ .now - $0 > Self.toldAgain }) ?? true {
                    told = .now
                    logger.warning("\(error.message): the gateway starts once it can be written")
                }
            }
            try await Task.sleep(for: backoff.next(upTo: Self.longestPause))
        }
    }
}
