import LibC
import Logging
import Ouroboros
import OuroborosNIO
import SensorKit
import Synchronization

/// Takes the messages that come for a device that sends readings.
struct MessageTaker: Sendable {
    /// It has the message on its input; without one messages are thrown away.
    let command: SensorCommand?
    let logger: Logger

    /// One after the other. One whose command failed is told, and is acknowledged all the same: those behind it wait.
    func take(from connection: OuroborosConnection) async {
        for await message in connection.messages {
            guard let command else { continue }
            do {
                try await Self.run(command, message.payload)
            } catch {
                guard !Task.isCancelled else { return }
                logger.error("a message (--on-message): \(error)")
            }
            connection.confirm(message)
        }
    }

    /// What it prints is not looked at. A task that is cancelled ends it.
    private static func run(_ command: SensorCommand, _ input: [UInt8]) async throws {
        let isStopped = Atomic(false)
        try await withTaskCancellationHandler {
            _ = try await OwnThread().run {
                try command.output(of: input) { isStopped.load(ordering: .relaxed) }
            }
        } onCancel: {
            isStopped.store(true, ordering: .relaxed)
        }
    }
}

extension OuroborosConnection {
    func logStates(_ logger: Logger) async {
        for await state in stateChanges {
            switch state {
            case .unreachable: logger.warning("the gateway does not answer")
            case .reachable: logger.warning("the gateway answers again")
            default: logger.debug("\(state)")
            }
        }
    }
}
