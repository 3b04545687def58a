import GRDB
import LibC
import Ouroboros

/// Whether a file can be written, as the last writes tell.
struct WriteHealth {
    private var failure: OuroborosError?
    private var failedAt = ContinuousClock.now
    private var hasRecovered = true

    /// On a full disk small writes succeed between large ones that fail: that is no recovery.
    static let calm = Duration.seconds(5)
    static let untilNextTry = Duration.seconds(1)

    mutating func failed(_ error: OuroborosError, at now: ContinuousClock.Instant) {
        failure = error
        failedAt = now
        hasRecovered = false
    }

    mutating func succeeded() {
        hasRecovered = true
    }

    /// Why the last write failed, if that was just now.
    func recentFailure(at now: ContinuousClock.Instant) -> OuroborosError? {
        hasRecovered || now - failedAt > Self.untilNextTry ? nil : failure
    }

    /// Nil when it can be written.
    func trouble(at now: ContinuousClock.Instant) -> OuroborosError? {
        hasRecovered && now - failedAt > Self.calm ? nil : failure
    }
}

/// The same, for all who have the file open, and whether it turned out to be broken.
final class SharedWriteHealth: Sendable {
    private let health = Locked(WriteHealth())
    private let broken = Locked<OuroborosError?>(nil)
    /// Tells that writes fail, or that it broke, for one reader.
    let failures: AsyncStream<Void>
    private let failure: AsyncStream<Void>.Continuation

    init() {
        (failures, failure) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    }

    var damage: OuroborosError? { broken.withLock(\.self) }

    var trouble: OuroborosError? { health.withLock { $0.trouble(at: .now) } }

    /// Throws if a write failed just now, so that not each of many waits as long as the first.
    func refuseWhileFailing() throws {
        if let failure = health.withLock({ $0.recentFailure(at: .now) }) { throw failure }
    }

    /// What SQLite's error means; a file that is broken is so for all who have it open.
    func translated(_ error: any Error, _ path: String) -> any Error {
        let translated = StoreDatabase.translate(error, path)
        if let code = (error as? DatabaseError)?.resultCode, !StoreFailure(code).passes {
            broken.withLock { $0 = $0 ?? translated as? OuroborosError }
            failure.yield()
        }
        return translated
    }

    func note(_ outcome: Result<Void, any Error>) {
        switch outcome {
        case .success: health.withLock { $0.succeeded() }
        case .failure(let error as OuroborosError) where error.code == .busy:
            health.withLock { $0.failed(error, at: .now) }
            failure.yield()
        case .failure: break
        }
    }
}
