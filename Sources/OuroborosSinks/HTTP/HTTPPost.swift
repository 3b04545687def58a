import NIOCore
import Synchronization

struct HTTPAnswer: Sendable {
    let status: Int
    let retryAfter: String?
}

/// A request that waits for its turn, and for its answer.
final class HTTPPost: Sendable {
    let settings: HTTPSinkSettings
    let body: [UInt8]
    let headers: HeaderList
    let answer: EventLoopPromise<HTTPAnswer>
    private let cancelled = Atomic(false)

    init(
        _ settings: HTTPSinkSettings, headers: HeaderList, body: [UInt8],
        answer: EventLoopPromise<HTTPAnswer>
    ) {
        self.settings = settings
        self.headers = headers
        self.body = body
        self.answer = answer
    }

    var isCancelled: Bool { cancelled.load(ordering: .acquiring) }

    /// Nobody waits for the answer any more.
    func cancel() {
        cancelled.store(true, ordering: .releasing)
        answer.fail(CancellationError())
    }
}
