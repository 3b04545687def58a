import Logging
import Ouroboros
import OuroborosNIO
import OuroborosText
import SensorKit
import ServiceLifecycle

/// The sensor at work.
struct SensorService: Service {
    let connection: OuroborosConnection
    let readings: SensorReadings
    let taker: MessageTaker
    let interval: Duration
    let count: Int?
    let logger: Logger

    /// Readings that wait for the gateway; later ones are left out until it answers.
    private static let mostUnderWay = 32

    func run() async throws {
        let progress = SendProgress()
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await taker.take(from: connection) }
            group.addTask { await connection.logStates(logger) }
            await cancelWhenGracefulShutdown {
                await sendReadings(progress)
            }
            await connection.close()
            group.cancelAll()
        }
        let outcome = progress.outcome
        Output.note("ouroboros: \(outcome.summary)")
        if count != nil, let problem = outcome.problem {
            throw problem
        }
    }

    /// Until all are delivered; when it is cancelled, what is under way is left to the closing connection.
    private func sendReadings(_ progress: SendProgress) async {
        let clock = ContinuousClock()
        var next = clock.now
        var reports: [Task<Void, Never>] = []
        var taken = 0
        var telling = Telling<String>()
        while taken < count ?? .max {
            guard (try? await clock.sleep(until: next)) != nil else { break }
            next = max(next + interval, clock.now)
            taken += 1
            await sendReading(taken, progress, &reports, &telling)
        }
        if !Task.isCancelled {
            for report in reports {
                await report.value
            }
        }
    }

    private func sendReading(
        _ number: Int, _ progress: SendProgress, _ reports: inout [Task<Void, Never>],
        _ telling: inout Telling<String>
    ) async {
        do {
            let reading = try await readings.reading(number)
            guard progress.underWay < Self.mostUnderWay else {
                logger.warning("the gateway does not answer: a reading is left out")
                progress.refused(
                    OuroborosError(.failed, "readings were left out: the gateway did not answer"))
                return
            }
            progress.begin()
            // Not a child task: one that ends by a signal is still to be delivered while the connection closes.
            let connection = connection
            let report = Task {
                do {
                    try await connection.send(reading)
                    progress.delivered()
                } catch {
                    progress.ended(error)
                }
            }
            reports.append(report)
            if reports.count > Self.mostUnderWay {
                reports.removeFirst()
            }
        } catch {
            guard !Task.isCancelled else { return }
            if telling.isDue("\(error)") {
                logger.error("\(error)")
            }
            progress.stopped(error)
        }
    }
}
