import Foundation
import LibC
import Logging
import Ouroboros

/// What a listener hears.
enum RegistryEvent {
    case message(RegistryMessage)
    /// What was told before this may not have been heard.
    case listening
}

/// A thread that listens to the database, and connects anew when it has to.
final class RegistryListener<Notice: Sendable>: Sendable {
    private let database: PostgresDatabase
    private let logger: Logger?
    private let reader: AsyncStream<Notice>.Continuation
    private let read: @Sendable (RegistryEvent) -> Notice?
    private let isStopped = Locked(false)
    private let hasLost = Locked(false)

    /// How soon the database is asked whether it is there, and how soon a reader that was full is tried again.
    private static var askPeriod: Duration { .seconds(5) }
    private static var lossPeriod: Duration { .seconds(1) }

    /// What it hears, as `read` understands it, for one reader; it ends when the reader does.
    static func notices(
        of database: PostgresDatabase, logger: Logger?,
        _ read: @escaping @Sendable (RegistryEvent) -> Notice?
    ) -> AsyncStream<Notice> {
        let (stream, reader) = AsyncStream.makeStream(
            of: Notice.self, bufferingPolicy: .bufferingOldest(65_536))
        let listener = RegistryListener(database, reader, logger: logger, read)
        reader.onTermination = { _ in listener.stop() }
        listener.start()
        return stream
    }

    private init(
        _ database: PostgresDatabase, _ reader: AsyncStream<Notice>.Continuation, logger: Logger?,
        _ read: @escaping @Sendable (RegistryEvent) -> Notice?
    ) {
        self.database = database
        self.reader = reader
        self.logger = logger
        self.read = read
    }

    private func start() {
        let thread = Thread { [self] in run() }
        thread.name = "registry"
        thread.start()
    }

    private func stop() {
        isStopped.withLock { $0 = true }
    }

    private func run() {
        while !isStopped.withLock({ $0 }) {
            do {
                let connection = try database.connect()
                try connection.query("LISTEN \(RegistryMessage.channel)")
                tell(.listening)
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
            if ContinuousClock.now - asked > Self.askPeriod {
                try connection.query("SELECT 1")
                asked = .now
            }
            let patience = hasLost.withLock(\.self) ? Self.lossPeriod : Self.askPeriod
            for text in try connection.notifications(within: patience) {
                guard let message = RegistryMessage(text) else {
                    logger?.warning("a notification on the registry's channel is none of a gateway's")
                    continue
                }
                tell(.message(message))
            }
            if hasLost.withLock(\.self) {
                tell(.listening)
            }
        }
    }

    /// What finds no room is lost, which is told once there is room again.
    private func tell(_ event: RegistryEvent) {
        guard let notice = read(event) else { return }
        guard case .dropped = reader.yield(notice) else {
            if case .listening = event { hasLost.withLock { $0 = false } }
            return
        }
        let hadLost = hasLost.withLock { hasLost in
            defer { hasLost = true }
            return hasLost
        }
        if !hadLost {
            logger?.warning("too many notices of other gateways wait: some are lost")
        }
    }
}
