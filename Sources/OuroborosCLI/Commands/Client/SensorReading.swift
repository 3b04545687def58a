import LibC
import SensorKit
import Synchronization

extension SensorSource {
    /// A reading that keeps none of the tasks' threads while a command runs. A task that is cancelled ends the command, which
    /// takes two seconds at most, and waits for that.
    func reading() async throws -> [UInt8] {
        let isStopped = Atomic(false)
        return try await withTaskCancellationHandler {
            try await OwnThread().run { try read { isStopped.load(ordering: .relaxed) } }
        } onCancel: {
            isStopped.store(true, ordering: .relaxed)
        }
    }
}

/// What a sensor reads, of which the first was read before anything was sent.
struct SensorReadings: Sendable {
    let source: SensorSource
    let first: [UInt8]

    func reading(_ number: Int) async throws -> [UInt8] {
        number == 1 ? first : try await source.reading()
    }
}
