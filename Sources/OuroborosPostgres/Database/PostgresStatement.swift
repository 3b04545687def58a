import CPq
import LibC
import Ouroboros

struct PostgresStatement {
    let sql: String
    let values: [PostgresValue]

    init(_ sql: String, _ values: [PostgresValue] = []) {
        self.sql = sql
        self.values = values
    }
}

/// What the database answers to a statement.
struct PostgresAnswer {
    private(set) var values: [[[UInt8]?]] = []
    private(set) var columns: [String] = []
    /// How many rows it changed.
    private(set) var changed = 0

    init() {}

    init(_ result: OpaquePointer) {
        let fields = 0..<PQnfields(result)
        columns = fields.map { String(cString: PQfname(result, $0)) }
        changed = Int(String(cString: PQcmdTuples(result))) ?? 0
        values = (0..<PQntuples(result)).map { row in
            fields.map { column in
                guard PQgetisnull(result, row, column) == 0, let value = PQgetvalue(result, row, column)
                else { return nil }
                return Array(
                    UnsafeRawBufferPointer(start: value, count: Int(PQgetlength(result, row, column))))
            }
        }
    }

    /// Its rows, which tell of `table`.
    func rows(of table: String) -> [PostgresRow] {
        values.map { PostgresRow(table: table, names: columns, columns: $0) }
    }
}

extension PostgresConnection {
    @discardableResult
    func query(_ sql: String, _ values: [PostgresValue] = []) throws -> PostgresAnswer {
        try run([PostgresStatement(sql, values)])[0]
    }

    /// Statements one after the other, on one way there and back. Those after one that fails are not carried out.
    @discardableResult
    func run(
        _ statements: [PostgresStatement], until limit: ContinuousClock.Instant? = nil
    ) throws -> [PostgresAnswer] {
        let deadline = limit ?? .now + Self.patience
        guard isInStep, PQenterPipelineMode(handle) == 1 else { throw failed("sending a query") }
        for statement in statements {
            try send(statement)
        }
        guard PQpipelineSync(handle) == 1 else { throw failed("sending a query") }
        try flush(until: deadline)
        var failure: PostgresFailure?
        let answers = try statements.map { _ in try answer(until: deadline, &failure) }
        let end = try result(until: deadline)
        defer { PQclear(end) }
        guard end != nil, PQresultStatus(end) == PGRES_PIPELINE_SYNC, PQexitPipelineMode(handle) == 1 else {
            throw failure ?? failed("waiting for an answer")
        }
        if let failure { throw failure }
        return answers
    }

    /// Every answer that was waited for has come: else the next one would be taken for another's.
    var isInStep: Bool { PQpipelineStatus(handle) == PQ_PIPELINE_OFF }

    private func send(_ statement: PostgresStatement) throws {
        let values = statement.values
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
                handle, statement.sql, Int32(values.count), values.map(\.type), places,
                bytes.map { Int32($0?.count ?? 0) },
                bytes.map { _ in 1 }, 1)
        }
        guard sent == 1 else { throw failed("sending a query") }
    }

    private func flush(until deadline: ContinuousClock.Instant) throws {
        while true {
            let left = PQflush(handle)
            guard left >= 0 else { throw failed("sending a query") }
            if left == 0 { return }
            guard wait(for: POLLIN | POLLOUT, until: deadline), PQconsumeInput(handle) == 1 else {
                throw failed("sending a query")
            }
        }
    }

    /// Nil at the end of what there is for a statement.
    private func result(until deadline: ContinuousClock.Instant) throws -> OpaquePointer? {
        while PQisBusy(handle) == 1 {
            guard wait(for: POLLIN, until: deadline), PQconsumeInput(handle) == 1 else {
                throw failed("waiting for an answer")
            }
        }
        return PQgetResult(handle)
    }

    private func answer(
        until deadline: ContinuousClock.Instant, _ failure: inout PostgresFailure?
    ) throws -> PostgresAnswer {
        var answer = PostgresAnswer()
        while let result = try result(until: deadline) {
            defer { PQclear(result) }
            switch PQresultStatus(result) {
            case PGRES_TUPLES_OK, PGRES_COMMAND_OK: answer = PostgresAnswer(result)
            // One before it failed.
            case PGRES_PIPELINE_ABORTED: break
            default: failure = failure ?? self.failure(of: result)
            }
        }
        return answer
    }

    private func failure(of result: OpaquePointer) -> PostgresFailure {
        let state = PQresultErrorField(result, Int32(UInt8(ascii: "C"))).map { String(cString: $0) } ?? ""
        let message =
            PQresultErrorField(result, Int32(UInt8(ascii: "M"))).map { String(cString: $0) } ?? "no reason"
        // Classes 08, 40, 53 and 57: connections, transactions that met, resources, and an operator who stops it.
        // A read-only one is a standby; 25P03 ended a transaction that stood still.
        let isAway =
            ["08", "40", "53", "57"].contains(state.prefix(2)) || ["25006", "25P03"].contains(state)
            || PQstatus(handle) == CONNECTION_BAD
        if isAway { return .unavailable(message) }
        switch state {
        case PostgresFailure.divisionByZero: return .contradicted(state)
        case "23505":
            let rule = PQresultErrorField(result, Int32(UInt8(ascii: "n"))).map { String(cString: $0) }
            return .contradicted(rule ?? message)
        default: return .refused(message)
        }
    }
}
