import Ouroboros
import OuroborosStore

/// Where messages of the spool go: each at least once, in the order of their ids.
package protocol Sink: Sendable {
    /// The name that its position has in the spool.
    var name: String { get }
    /// How many messages it takes at once.
    var batchLimit: Int { get }
    /// The longest pause between two tries.
    var longestPause: Duration { get }

    /// Returns once all messages are safe there. What it throws is retried, with the same batch.
    func deliver(_ batch: SinkBatch) async throws

    /// What it does beside deliveries, until the task is cancelled.
    func run() async

    /// Ends what is open; nothing more is delivered.
    func close() async
}

extension Sink {
    package var batchLimit: Int { 500 }
    package var longestPause: Duration { .seconds(60) }
    package func run() async {}
    package func close() async {}
}

package struct SinkBatch: Sendable {
    package let messages: [SpooledMessage]
    /// The same whenever this batch is delivered, after a crash too, and no other batch's.
    package let key: String

    package init(_ messages: [SpooledMessage], key: String) {
        self.messages = messages
        self.key = key
    }
}

/// A sink does not take a batch now.
package struct SinkFailure: Error, CustomStringConvertible {
    package let description: String
    /// When it is worth trying again, if the other side said so.
    package let retryAfter: Duration?
    /// The other side refused it: trying again soon is of no use, and somebody has to look.
    package let isRefusal: Bool

    package init(_ description: String, retryAfter: Duration? = nil, isRefusal: Bool = false) {
        self.description = description
        self.retryAfter = retryAfter
        self.isRefusal = isRefusal
    }

    /// After a refusal somebody has to look.
    private static let afterRefusal = Duration.seconds(30)
    private static let longestRetryAfter = Duration.seconds(3600)

    /// How long to wait at least before the next try.
    var leastPause: Duration {
        max(isRefusal ? Self.afterRefusal : .zero, min(retryAfter ?? .zero, Self.longestRetryAfter))
    }
}

extension Backoff {
    /// The first pause of all that sinks try again.
    static let ofSinks = Backoff(first: .milliseconds(500))
}
