import LibC
import Ouroboros
import OuroborosPOSIX
import OuroborosText

/// A sensor with one thread and a plain socket, no event loop.
package struct LeanSensor {
    package var host: String
    package var port: Int
    package var credential: Credential
    package var store: (any CredentialStore)?
    package var source: SensorSource
    package var interval: Duration
    package var count: Int?
    package var timeout: Duration?

    package init(
        host: String, port: Int, credential: Credential, store: (any CredentialStore)? = nil,
        source: SensorSource, interval: Duration, count: Int?, timeout: Duration?
    ) {
        self.host = host
        self.port = port
        self.credential = credential
        self.store = store
        self.source = source
        self.interval = interval
        self.count = count
        self.timeout = timeout
    }

    /// Set by a signal.
    private nonisolated(unsafe) static var isStopped: sig_atomic_t = 0

    package func run() throws {
        for number in [SIGINT, SIGTERM] {
            signal(number) { _ in LeanSensor.isStopped = 1 }
        }
        // A source that cannot be read is told before anything is sent.
        let first = try read()
        let client = try BlockingClient(
            socket: try SystemSocket(host: host, port: port), credential: credential, store: store,
            link: BlockingClient.smallLink.connecting(within: timeout))
        client.isInterrupted = { Self.isStopped != 0 }
        try client.connect(timeout: timeout)
        let progress = SendProgress()
        let clock = ContinuousClock()
        var due = clock.now
        var taken = 0
        var telling = Telling<String>()
        while taken < count ?? .max, Self.isStopped == 0 {
            guard try Self.wait(until: due, with: client) else { break }
            due = max(due + interval, clock.now)
            taken += 1
            progress.begin()
            do {
                try client.send(taken == 1 ? first : try read(), timeout: timeout)
                progress.delivered()
            } catch {
                progress.ended(error)
                if Self.isStopped == 0, telling.isDue("\(error)") {
                    Output.complain("\(error)")
                }
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

    private func read() throws -> [UInt8] {
        try source.read { Self.isStopped != 0 }
    }

    /// Lets the engine work meanwhile; false when a signal ends it.
    private static func wait(until due: ContinuousClock.Instant, with client: BlockingClient) throws -> Bool {
        while isStopped == 0, case let left = due - .now, left > .zero {
            do {
                _ = try client.receive(timeout: left)
            } catch {
                guard isStopped != 0 else { throw error }
            }
        }
        return isStopped == 0
    }
}
