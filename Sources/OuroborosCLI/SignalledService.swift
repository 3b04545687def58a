import Logging
import ServiceLifecycle
import UnixSignals

extension Service {
    /// Runs until it is over; SIGINT and SIGTERM shut it down gracefully.
    func runUntilSignalled() async throws {
        var quiet = Logger(label: "ouroboros.lifecycle") { StreamLogHandler.standardError(label: $0) }
        quiet.logLevel = .critical
        let group = ServiceGroup(
            configuration: .init(
                services: [
                    .init(
                        service: self, successTerminationBehavior: .gracefullyShutdownGroup,
                        failureTerminationBehavior: .cancelGroup)
                ],
                gracefulShutdownSignals: [.sigterm, .sigint], logger: quiet))
        try await group.run()
    }
}
