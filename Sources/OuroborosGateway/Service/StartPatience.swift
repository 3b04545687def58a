import Logging
import Ouroboros

/// What a gateway needs to start may come up after it: a database, an interface's address, a name server.
struct StartPatience: Sendable {
    let manager: ServiceManager
    let logger: Logger

    private static let firstPause = Duration.seconds(1)
    private static let longestPause = Duration.seconds(15)

    /// Tries again for as long as what is missing may come by itself; any other error is the operator's to mend.
    func wait<Value: Sendable>(_ body: () async throws -> Value) async throws -> Value {
        var backoff = Backoff(first: Self.firstPause)
        var complaint: String?
        while true {
            do {
                return try await body()
            } catch  where Self.mayPass(error) {
                let reason = "\(error)"
                if reason != complaint {
                    complaint = reason
                    logger.warning("the gateway starts once this has passed: \(reason)")
                    manager.status("waits: \(reason)")
                }
                try await Task.sleep(for: backoff.next(upTo: Self.longestPause))
            }
        }
    }

    /// A database that does not answer, an address that this machine does not have, a name without one.
    static func mayPass(_ error: any Error) -> Bool {
        let code = (error as? OuroborosError)?.code
        return code == .unreachable || code == .invalidAddress
    }
}
