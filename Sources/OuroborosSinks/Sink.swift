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

    /// Returns once all messages are safe there. What it throws is retried, with the same batch, unless it is a
    /// ``SinkFailure`` that says something else.
    func deliver(_ batch: SinkBatch) async throws

    /// What it does beside deliveries, until the task is cancelled; it is called again if it returns before.
    func run() async

    /// Ends what is open; nothing more is delivered.
    func close() async
}

extension Sink {
    package var batchLimit: Int { 500 }
    package var longestPause: Duration { .seconds(60) }
    package func run() async { await untilCancelled() }
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

/// A sink does not take a batch.
package struct SinkFailure: Error, CustomStringConvertible {
    /// What later tries are worth.
    package enum Outlook: Sendable, Hashable {
        /// It may be taken soon.
        case later
        /// Somebody has to look first: trying again soon is of no use.
        case afterRepair
        /// Less at once may be taken. What is too large alone never is.
        case smaller
        /// One of its messages at least is refused for good.
        case never
        /// These are refused for good, by their ids and with the reason; all others were taken.
        case neverThese([Int64: String])
    }

    package let description: String
    package let outlook: Outlook
    /// When it is worth trying again, if the other side said so.
    package let retryAfter: Duration?

    package init(_ description: String, _ outlook: Outlook = .later, retryAfter: Duration? = nil) {
        self.description = description
        self.outlook = outlook
        self.retryAfter = retryAfter
    }

    /// After a refusal somebody has to look.
    private static let afterRefusal = Duration.seconds(30)
    private static let longestRetryAfter = Duration.seconds(3600)

    /// How long to wait at least before the next try.
    var leastPause: Duration {
        max(
            outlook == .afterRepair ? Self.afterRefusal : .zero,
            min(retryAfter ?? .zero, Self.longestRetryAfter))
    }
}

extension Backoff {
    /// The first pause of all that sinks try again.
    static let ofSinks = Backoff(first: .milliseconds(500))
}
