import CoreMetrics
import Logging
import Ouroboros
import OuroborosStore

/// What one sink refused for good: it is set aside, told, and given to the sink again when somebody asks for that.
struct DeadLetters {
    let sink: String
    private let spool: any SinkStore
    private let metrics: SinkMetrics
    private let logger: Logger
    private var told = ToldDevices()
    private var isFull = false
    /// The one that was tried again last, and the reason if it was refused anew: the spool does not know yet.
    var retried: (id: Int64, reason: String?)?

    init(
        of sink: String, in spool: any SinkStore, metrics: SinkMetrics, logger: Logger
    ) {
        self.sink = sink
        self.spool = spool
        self.metrics = metrics
        self.logger = logger
    }

    /// False while there is no room: nothing is thrown away.
    mutating func hasRoom(for count: Int, atMost limit: Int) async throws -> Bool {
        let hasRoom = try await spool.deadLetterCount(of: sink) + Int64(count) <= limit
        if !hasRoom, !isFull {
            logger.error(
                """
                the sink has refused more messages than are kept (\(limit)), and waits: \
                see `ouroboros spool list --dead`, then `spool retry` or `spool trim --dead`
                """)
        }
        isFull = !hasRoom
        return hasRoom
    }

    func tell(unreadable: [Int64: String]) {
        metrics.refused.increment(by: unreadable.count)
        guard let first = unreadable.min(by: { $0.key < $1.key }) else { return }
        logger.error(
            "\(unreadable.count) rows of the spool are set aside, message \(first.key) the first: \(first.value)"
        )
    }

    mutating func tell(_ messages: [SpooledMessage], _ refused: [Int64: String]) {
        metrics.refused.increment(by: refused.count)
        for message in messages {
            guard let reason = refused[message.id], told.isDue(message.device) else { continue }
            logger.warning(
                "a message is refused for good and set aside, see `ouroboros spool list --dead`: \(reason)",
                metadata: ["device": "\(message.device)", "id": "\(message.id)"])
        }
    }
}
