import Foundation
import Logging
import Ouroboros
import Synchronization

/// A thread that listens to the database, and connects anew when it has to.
final class RegistryListener: Sendable {
    private let database: PostgresDatabase
    private let reader: AsyncStream<RegistryNotice>.Continuation
    private let logger: Logger?
    private let isStopped = Mutex(false)

    init(
        _ database: PostgresDatabase, _ reader: AsyncStream<RegistryNotice>.Continuation, logger: Logger?
    ) {
        self.database = database
        self.reader = reader
        self.logger = logger
    }

    func start() {
        let thread = Thread { [self] in run() }
        thread.name = "registry"
        thread.start()
    }

    func stop() {
        isStopped.withLock { $0 = true }
    }

    private func run() {
        var isFirst = true
        while !isStopped.withLock({ $0 }) {
            do {
                let connection = try database.connect()
                try connection.query("LISTEN \(RegistryMessage.channel)")
                if !isFirst {
                    tell(.missed)
                }
                isFirst = false
                try listen(on: connection)
            } catch {
                logger?.debug("listening to the registry: \(error)")
                // The database says when it may be tried; this only asks.
                Thread.sleep(forTimeInterval: 0.2)
            }
        }
    }

    private func listen(on connection: PostgresConnection) throws {
        var asked = ContinuousClock.now
        while !isStopped.withLock({ $0 }) {
            // A way that was cut says nothing by itself.
            if ContinuousClock.now - asked > .seconds(5) {
                try connection.query("SELECT 1")
                asked = .now
            }
            for text in try connection.notifications(within: .seconds(1)) {
                guard let message = RegistryMessage(text) else {
                    logger?.warning("a notification on the registry's channel is none of a gateway's")
                    continue
                }
                tell(message.notice)
            }
        }
    }

    private func tell(_ notice: RegistryNotice) {
        if case .dropped = reader.yield(notice) {
            logger?.warning("too many notices of other gateways wait: one is lost")
        }
    }
}
