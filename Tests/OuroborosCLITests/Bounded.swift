/// What a test waited for in vain: says where it hung, which a test's own time limit does not.
struct Hung: Error, CustomStringConvertible {
    let description: String
}

/// Runs `body`, which ends early when it is cancelled, for so long at most.
func bounded<Value: Sendable>(
    _ what: @autoclosure @escaping @Sendable () -> String, by limit: Duration,
    _ body: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    try await withThrowingTaskGroup(of: Value.self) { group in
        group.addTask(operation: body)
        group.addTask {
            try await Task.sleep(for: limit)
            throw Hung(description: "\(what()) did not end within \(limit)")
        }
        defer { group.cancelAll() }
        guard let value = try await group.next() else { throw CancellationError() }
        return value
    }
}
