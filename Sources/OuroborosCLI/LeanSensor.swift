import Ouroboros
import OuroborosNIO
import OuroborosPOSIX

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// `sensor --lean`: one thread, a plain socket, no event loop.
struct LeanSensor {
    let identity: ClientOptions.Identity
    let source: SensorSource
    let interval: Duration
    let count: Int?
    let timeout: Duration?

    /// Set by a signal.
    private nonisolated(unsafe) static var isStopped: sig_atomic_t = 0

    func run() async throws {
        guard identity.configuration.link.tap == nil else {
            throw OuroborosError(
                .invalidConfiguration,
                "--lean has no --key-log and no OUROBOROS_TRACE: leave one or the other out")
        }
        guard !identity.server.isStream else {
            throw OuroborosError(.invalidConfiguration, "--lean speaks UDP alone: leave tcp:// out")
        }
        for number in [SIGINT, SIGTERM] {
            signal(number) { _ in LeanSensor.isStopped = 1 }
        }
        let place = identity.server.place
        let client = try BlockingClient(
            socket: try SystemSocket(host: place.host, port: place.port), credential: identity.credential,
            store: identity.store)
        client.isInterrupted = { Self.isStopped != 0 }
        try client.connect(timeout: timeout)
        let progress = SendProgress()
        let clock = ContinuousClock()
        var due = clock.now
        var taken = 0
        while taken < count ?? .max, Self.isStopped == 0 {
            while clock.now < due, Self.isStopped == 0 {
                _ = try? client.receive(timeout: due - clock.now)
            }
            guard Self.isStopped == 0 else { break }
            due = max(due + interval, clock.now)
            taken += 1
            progress.begin()
            do {
                try client.send(try await source.read(), timeout: timeout)
                progress.delivered()
            } catch {
                progress.ended(error)
            }
        }
        client.isInterrupted = { false }
        client.close()
        let outcome = progress.outcome
        Output.note("ouroboros: \(outcome.summary)")
        if count != nil, let problem = outcome.problem {
            throw problem
        }
    }
}
