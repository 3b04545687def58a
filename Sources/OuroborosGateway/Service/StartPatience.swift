import Logging
import Ouroboros

/// What a gateway needs to start may come up after it, or be busy: a database, an interface's address, a name server, a
/// file that another process holds.
struct StartPatience: Sendable {
    let manager: ServiceManager
    let logger: Logger

    private static let firstPause = Duration.milliseconds(250)
    private static let longestPause = Duration.seconds(15)
    /// A file may be free again at any moment, and costs nobody else anything.
    private static let longestPauseForFile = Duration.seconds(2)

    /// Tries again for as long as what is missing may come by itself; any other error is the operator's to mend.
    func wait<Value: Sendable>(_ body: () async throws -> Value) async throws -> Value {
        var backoff = Backoff(first: Self.firstPause)
        var telling = Telling<String>()
        while true {
            do {
                return try await body()
            } catch let error as OuroborosError where Self.mayPass(error) {
                if telling.isDue("\(error)") {
                    logger.warning("the gateway starts once this has passed: \(error)")
                }
                manager.status("waits: \(error)")
                let longest = error.code == .busy ? Self.longestPauseForFile : Self.longestPause
                try await Task.sleep(for: backoff.next(upTo: longest))
            }
        }
    }

    /// A database that does not answer, a file that cannot be written now, an address that this machine does not have, a
    /// name without one.
    static func mayPass(_ error: any Error) -> Bool {
        let code = (error as? OuroborosError)?.code
        return code?.passes == true || code == .invalidAddress
    }
}
