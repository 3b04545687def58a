import Foundation
import LibC
import Logging
import NIOPosix
import Ouroboros
import OuroborosNIO
import OuroborosStore

/// A database of ours, its connections, and how it is: one that cannot be reached is tried again with pauses that
/// grow, and until then whoever asks hears so at once.
final class PostgresDatabase: Sendable {
    private struct State {
        var idle: [PostgresConnection] = []
        var backoff = Backoff(first: .milliseconds(250))
        var nextTry = ContinuousClock.now
        var isUp = true
        var failures: UInt64 = 0
    }

    let location: PostgresLocation
    let logger: Logger?
    private let lookup: any NameLookup
    private let threads: NIOThreadPool
    private let state = Locked(State())

    private static let connections = 4
    private static let longestPause = Duration.seconds(5)

    init(
        _ location: PostgresLocation, lookup: any NameLookup = SystemLookup.shared, logger: Logger? = nil
    ) {
        self.location = location
        self.lookup = lookup
        self.logger = logger
        threads = NIOThreadPool(numberOfThreads: Self.connections)
        threads.start()
    }

    deinit {
        threads.shutdownGracefully { _ in }
    }

    var isUp: Bool { state.withLock(\.isUp) }
    var failures: UInt64 { state.withLock(\.failures) }

    /// Runs `body` on one of a few threads, with a connection of its own.
    func run<Value: Sendable>(
        _ body: @escaping @Sendable (PostgresConnection) throws -> Value
    ) async throws -> Value {
        try await threads.runIfActive { [self] in try runNow(body) }
    }

    /// The same, again and again while the database is away, for so long.
    func run<Value: Sendable>(
        retryingFor time: Duration, _ body: @escaping @Sendable (PostgresConnection) throws -> Value
    ) async throws -> Value {
        let deadline = ContinuousClock.now + time
        while true {
            do {
                return try await run(body)
            } catch {
                guard Self.isAway(error), ContinuousClock.now < deadline else { throw error }
                try await Task.sleep(for: .milliseconds(200))
            }
        }
    }

    /// Runs `body`, which has a connection of its own already, on one of those threads.
    func onThread<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await threads.runIfActive { [self] in
            do {
                return try body()
            } catch {
                throw translated(error)
            }
        }
    }

    /// A connection for the caller alone, if `body` wants it kept; else nil.
    func own(
        _ body: @escaping @Sendable (PostgresConnection) throws -> Bool
    ) async throws -> PostgresConnection? {
        try await onThread { [self] in
            do {
                let connection = try state.withLock { $0.idle.popLast() } ?? connect()
                guard try !body(connection) else { return connection }
                giveBack(connection)
                return nil
            } catch PostgresFailure.unavailable(let reason) {
                // What was opened before is as old.
                state.withLock { $0.idle = [] }
                throw PostgresFailure.unavailable(reason)
            }
        }
    }

    /// The same on this thread. A connection that broke while nobody used it is no failure: `body` is tried once more
    /// on a new one, and so has to bear that.
    func runNow<Value>(_ body: (PostgresConnection) throws -> Value) throws -> Value {
        if let connection = state.withLock({ $0.idle.popLast() }) {
            do {
                return try use(connection, body)
            } catch PostgresFailure.unavailable {
                // What was opened before is as old.
                state.withLock { $0.idle = [] }
            } catch {
                throw translated(error)
            }
        }
        do {
            return try use(connect(), body)
        } catch {
            throw translated(error)
        }
    }

    private func use<Value>(
        _ connection: PostgresConnection, _ body: (PostgresConnection) throws -> Value
    ) throws -> Value {
        do {
            let value = try body(connection)
            giveBack(connection)
            return value
        } catch let error as PostgresFailure {
            if case .unavailable = error {} else { giveBack(connection) }
            throw error
        } catch {
            giveBack(connection)
            throw error
        }
    }

    private func giveBack(_ connection: PostgresConnection) {
        state.withLock { state in
            if state.idle.count < Self.connections {
                state.idle.append(connection)
            }
        }
    }

    func connect() throws -> PostgresConnection {
        let mayTry = state.withLock { $0.nextTry <= .now }
        guard mayTry else { throw PostgresFailure.unavailable("it is tried again in a moment") }
        do {
            let connection = try PostgresConnection.open(location, lookup: lookup)
            noteUp()
            return connection
        } catch {
            noteDown(error)
            throw error
        }
    }

    private func noteUp() {
        let wasUp = state.withLock { state in
            defer { state.isUp = true }
            state.backoff.reset()
            state.nextTry = .now
            return state.isUp
        }
        if !wasUp {
            logger?.notice("the registry \(location.name) answers again")
        }
    }

    private func noteDown(_ error: any Error) {
        let wasUp = state.withLock { state in
            defer { state.isUp = false }
            state.failures += 1
            state.nextTry = .now + state.backoff.next(upTo: Self.longestPause)
            return state.isUp
        }
        if wasUp {
            logger?.error(
                "the registry cannot be reached, so HELLOs stay unanswered; sessions go on: \(translated(error))"
            )
        }
    }

    /// A database that may answer later.
    static func isAway(_ error: any Error) -> Bool {
        (error as? OuroborosError)?.code == .unreachable
    }

    /// For people. What PostgreSQL says holds no values of ours.
    private func translated(_ error: any Error) -> any Error {
        switch error {
        case PostgresFailure.unavailable(let reason):
            OuroborosError(.unreachable, "the registry \(location.name) cannot be reached: \(reason)")
        case PostgresFailure.refused(let reason), PostgresFailure.contradicted(let reason):
            OuroborosError(.storage, "the registry \(location.name): \(reason)")
        case let row as UnreadableRow:
            OuroborosError(.storage, "the registry \(location.name): \(row): correct it, or remove the row")
        default: error
        }
    }
}
