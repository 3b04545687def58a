import Logging
import Ouroboros
import OuroborosStore
import OuroborosText
import SensorKit
import ServiceLifecycle

/// The sensor at work with an outbox.
struct OutboxSensorService: Service {
    let delivery: OutboxDelivery
    let readings: SensorReadings
    let interval: Duration
    let count: Int?

    /// How long one that is stopped waits for what the gateway has not acknowledged.
    private static let farewell = Duration.seconds(5)

    private struct Stopped: Error {}

    func run() async throws {
        var problem: (any Error)?
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await delivery.run() }
                group.addTask {
                    defer { delivery.sender.finish() }
                    try await cancelWhenGracefulShutdown {
                        try await takeReadings()
                    }
                }
                group.addTask {
                    try? await gracefulShutdown()
                    try await Task.sleep(for: Self.farewell)
                    throw Stopped()
                }
                // Readings and delivery; the third ends with them.
                try await group.next()
                try await group.next()
                group.cancelAll()
            }
        } catch is Stopped {
            // What waits is on disk.
        } catch {
            problem = error
        }
        let unsaved = delivery.outbox.unsaved
        let waiting = try delivery.outbox.summary().messages
        Output.note(
            "ouroboros: \(delivery.delivered) delivered"
                + (waiting > 0 ? ", \(waiting) waiting in the outbox for the next call" : "")
                + (unsaved > 0 ? ", \(unsaved) lost, as the outbox could not be written" : ""))
        delivery.noteUnremoved()
        if let problem, !Task.isShuttingDownGracefully {
            throw problem
        }
    }

    private func takeReadings() async throws {
        let logger = delivery.logger
        let clock = ContinuousClock()
        var next = clock.now
        var taken = 0
        var wasSaved = true
        var telling = Telling<String>()
        while taken < count ?? .max {
            guard (try? await clock.sleep(until: next)) != nil else { return }
            next = max(next + interval, clock.now)
            taken += 1
            do {
                let reading = try await readings.reading(taken)
                let (dropped, isSaved) = try delivery.outbox.appendOrHold([reading])
                if dropped > 0 {
                    logger.warning("the outbox is full: the oldest readings are dropped")
                }
                if isSaved != wasSaved {
                    wasSaved = isSaved
                    logger.warning(
                        isSaved
                            ? "the outbox can be written again"
                            : "the outbox cannot be written (is the disk full?): readings go out from memory")
                }
            } catch let error as OuroborosError where error.code != .storage {
                guard !Task.isCancelled else { return }
                if telling.isDue("\(error)") {
                    logger.error("\(error)")
                }
            }
        }
    }
}
