import CPq
import Foundation
import LibC
import Ouroboros
import OuroborosNIO

/// Why a query did not succeed.
enum PostgresFailure: Error {
    /// The database cannot be reached, or the connection broke: another try may succeed.
    case unavailable(String)
    /// It was asked for something that it does not do.
    case refused(String)
    /// What was to be added is there already, by the name of that rule, or something was divided by 0.
    case contradicted(String)

    static let divisionByZero = "22012"
}

/// One connection, on one thread at a time. It waits in `poll`, never longer than a deadline: a database that hangs
/// must not keep a thread.
// @unchecked: the pool gives it to one thread at a time.
final class PostgresConnection: @unchecked Sendable {
    let handle: OpaquePointer

    /// How long a connection, and a query, may take.
    static let patience = Duration.seconds(5)

    /// Connects to the first address that lets it in.
    static func open(_ location: PostgresLocation, lookup: any NameLookup) throws -> PostgresConnection {
        let deadline = ContinuousClock.now + patience
        let targets = try location.targets(by: lookup, until: deadline)
        var reasons: [String] = []
        for (index, target) in targets.enumerated() {
            // One that does not answer leaves time to those after it.
            let share = (deadline - .now) / (targets.count - index)
            do {
                return try PostgresConnection(target, until: .now + share)
            } catch PostgresFailure.unavailable(let reason) {
                if !reasons.contains(reason) { reasons.append(reason) }
            }
        }
        throw PostgresFailure.unavailable(reasons.joined(separator: "; "))
    }

    private init(_ target: PostgresTarget, until deadline: ContinuousClock.Instant) throws {
        guard let handle = target.startConnecting() else {
            throw PostgresFailure.unavailable("out of memory")
        }
        self.handle = handle
        // What libpq says of an open connection waits to be written first (PQconnectPoll's documentation).
        var state = PGRES_POLLING_WRITING
        while state != PGRES_POLLING_OK {
            guard state != PGRES_POLLING_FAILED, PQstatus(handle) != CONNECTION_BAD,
                wait(for: state == PGRES_POLLING_READING ? POLLIN : POLLOUT, until: deadline)
            else { throw failed("cannot connect") }
            state = PQconnectPoll(handle)
        }
        guard PQsetnonblocking(handle, 1) == 0 else { throw failed("cannot connect") }
        // What it has to tell beside answers is not the gateway's output.
        PQsetNoticeReceiver(handle, { _, _ in }, nil)
        try run([PostgresStatement(Self.settings)], until: deadline)
    }

    /// A gateway that vanished holds no lock for long: the database notices within 20 s, and not after the usual two
    /// hours. Each statement sees what was committed before it.
    private static let settings = """
        SELECT set_config('tcp_keepalives_idle', '5', false), set_config('tcp_keepalives_interval', '5', false),
            set_config('tcp_keepalives_count', '3', false),
            set_config('idle_in_transaction_session_timeout', '10s', false),
            set_config('default_transaction_isolation', 'read committed', false)
        """

    deinit {
        PQfinish(handle)
    }

    /// True when something came before the deadline.
    func wait(for events: Int32, until deadline: ContinuousClock.Instant) -> Bool {
        while true {
            let left = (deadline - .now).components
            let milliseconds = left.seconds * 1000 + left.attoseconds / 1_000_000_000_000_000
            guard milliseconds > 0 else { return false }
            var descriptor = pollfd(fd: PQsocket(handle), events: Int16(events), revents: 0)
            let count = poll(&descriptor, 1, Int32(clamping: milliseconds))
            if count > 0 { return true }
            if count < 0, errno != EINTR { return false }
        }
    }

    func failed(_ what: String) -> PostgresFailure {
        let reason =
            String(cString: PQerrorMessage(handle)).split(whereSeparator: \.isNewline).first ?? "no answer"
        return .unavailable("\(what): \(reason)")
    }

    /// All of `body`, or nothing.
    func transaction<Value>(_ body: () throws -> Value) throws -> Value {
        try query("BEGIN")
        do {
            let value = try body()
            try query("COMMIT")
            return value
        } catch {
            rollBack()
            throw error
        }
    }

    /// After a failure. A connection that broke has rolled back already, or has committed.
    func rollBack() {
        guard isInStep else { return }
        _ = try? query("ROLLBACK")
    }

    /// Waits for what others notify, up to `time`; gives their payloads.
    func notifications(within time: Duration) throws -> [String] {
        // Some may have come with an answer.
        let known = takeNotifications()
        guard known.isEmpty else { return known }
        _ = wait(for: POLLIN, until: .now + time)
        guard PQconsumeInput(handle) == 1 else { throw failed("listening") }
        return takeNotifications()
    }

    private func takeNotifications() -> [String] {
        var payloads: [String] = []
        while let notification = PQnotifies(handle) {
            payloads.append(String(cString: notification.pointee.extra))
            PQfreemem(notification)
        }
        return payloads
    }
}
