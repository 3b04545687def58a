import CPq
import Foundation
import LibC
import Ouroboros

/// Why a query did not succeed.
enum PostgresFailure: Error {
    /// The database cannot be reached, or the connection broke: another try may succeed.
    case unavailable(String)
    /// It was asked for something that it does not do.
    case refused(String)
}

/// One connection, on one thread at a time. It waits in `poll`, never longer than a deadline: a database that hangs
/// must not keep a thread.
// @unchecked: the pool gives it to one thread at a time.
final class PostgresConnection: @unchecked Sendable {
    private let handle: OpaquePointer

    /// How long a connection, and a query, may take.
    static let patience = Duration.seconds(5)

    init(_ location: PostgresLocation) throws {
        guard let handle = PQconnectStart(location.url) else {
            throw PostgresFailure.unavailable("out of memory")
        }
        self.handle = handle
        let deadline = ContinuousClock.now + Self.patience
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
    }

    deinit {
        PQfinish(handle)
    }

    /// True when something came before the deadline.
    private func wait(for events: Int32, until deadline: ContinuousClock.Instant) -> Bool {
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

    private func failed(_ what: String) -> PostgresFailure {
        let reason =
            String(cString: PQerrorMessage(handle)).split(whereSeparator: \.isNewline).first ?? "no answer"
        return .unavailable("\(what): \(reason)")
    }

    /// One statement; gives its rows and how many rows it changed.
    @discardableResult
    func query(_ sql: String, _ values: [PostgresValue] = []) throws -> (rows: [PostgresRow], changed: Int) {
        let deadline = ContinuousClock.now + Self.patience
        try send(sql, values)
        while true {
            let left = PQflush(handle)
            guard left >= 0 else { throw failed("sending a query") }
            if left == 0 { break }
            guard wait(for: POLLIN | POLLOUT, until: deadline), PQconsumeInput(handle) == 1 else {
                throw failed("sending a query")
            }
        }
        var answer: (rows: [PostgresRow], changed: Int) = ([], 0)
        var failure: PostgresFailure?
        while true {
            while PQisBusy(handle) == 1 {
                guard wait(for: POLLIN, until: deadline), PQconsumeInput(handle) == 1 else {
                    throw failed("waiting for an answer")
                }
            }
            guard let result = PQgetResult(handle) else { break }
            defer { PQclear(result) }
            switch PQresultStatus(result) {
            case PGRES_TUPLES_OK, PGRES_COMMAND_OK:
                answer = (Self.rows(of: result), Int(String(cString: PQcmdTuples(result))) ?? 0)
            default: failure = self.failure(of: result)
            }
        }
        if let failure { throw failure }
        return answer
    }

    private func send(_ sql: String, _ values: [PostgresValue]) throws {
        let bytes = values.map(\.bytes)
        // All values one after the other; a null has no place, and an empty one has the end's.
        let joined = bytes.compactMap(\.self).joined() + [0]
        let sent = joined.withUnsafeBytes { memory in
            var offset = 0
            let places = bytes.map { value -> UnsafePointer<CChar>? in
                guard let value, let base = memory.baseAddress else { return nil }
                defer { offset += value.count }
                return (base + offset).assumingMemoryBound(to: CChar.self)
            }
            return PQsendQueryParams(
                handle, sql, Int32(values.count), values.map(\.type), places,
                bytes.map { Int32($0?.count ?? 0) },
                bytes.map { _ in 1 }, 1)
        }
        guard sent == 1 else { throw failed("sending a query") }
    }

    private static func rows(of result: OpaquePointer) -> [PostgresRow] {
        (0..<PQntuples(result)).map { row in
            PostgresRow(
                columns: (0..<PQnfields(result)).map { column in
                    guard PQgetisnull(result, row, column) == 0, let value = PQgetvalue(result, row, column)
                    else { return nil }
                    return Array(
                        UnsafeRawBufferPointer(start: value, count: Int(PQgetlength(result, row, column))))
                })
        }
    }

    private func failure(of result: OpaquePointer) -> PostgresFailure {
        let state = PQresultErrorField(result, Int32(UInt8(ascii: "C"))).map { String(cString: $0) } ?? ""
        let message =
            PQresultErrorField(result, Int32(UInt8(ascii: "M"))).map { String(cString: $0) } ?? "no reason"
        // Classes 08, 40, 53 and 57: connections, transactions that met, resources, and an operator who stops it.
        // A read-only one is a standby.
        let isAway =
            ["08", "40", "53", "57"].contains(state.prefix(2)) || state == "25006"
            || PQstatus(handle) == CONNECTION_BAD
        return isAway ? .unavailable(message) : .refused(message)
    }

    /// All of `body`, or nothing.
    func transaction<Value>(_ body: () throws -> Value) throws -> Value {
        try query("BEGIN")
        do {
            let value = try body()
            try query("COMMIT")
            return value
        } catch {
            // A connection that broke has rolled back already.
            _ = try? query("ROLLBACK")
            throw error
        }
    }

    /// Waits for what others notify, up to `time`; gives their payloads.
    func notifications(within time: Duration) throws -> [String] {
        _ = wait(for: POLLIN, until: .now + time)
        guard PQconsumeInput(handle) == 1 else { throw failed("listening") }
        var payloads: [String] = []
        while let notification = PQnotifies(handle) {
            payloads.append(String(cString: notification.pointee.extra))
            PQfreemem(notification)
        }
        return payloads
    }
}
