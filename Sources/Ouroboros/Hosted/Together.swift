/// Runs `main`, and `others` for as long as that takes, each with a name for people. When one of them fails, or ends by
/// itself, all end, and the error says so: nothing works on without what it relies on.
package func together(
    _ main: @escaping @Sendable () async throws -> Void,
    beside others: KeyValuePairs<String, @Sendable () async throws -> Void>
) async throws {
    try await withThrowingTaskGroup(of: String?.self) { group in
        group.addTask {
            try await main()
            return nil
        }
        for (name, other) in others {
            group.addTask {
                try await other()
                return name
            }
        }
        while let ended = try await group.next(), let name = ended {
            guard Task.isCancelled else {
                throw OuroborosError(.failed, "\(name) has ended by itself, which is a fault of this program")
            }
        }
        group.cancelAll()
    }
}

/// What `body` gives; nil when it takes longer, and is cancelled.
package func within<Value: Sendable>(
    _ limit: Duration, _ body: @escaping @Sendable () async throws -> Value
) async throws -> Value? {
    try await withThrowingTaskGroup(of: Value?.self) { group in
        group.addTask { try await body() }
        group.addTask {
            try await Task.sleep(for: limit)
            return nil
        }
        defer { group.cancelAll() }
        return try await group.next() ?? nil
    }
}

/// Returns when the task is cancelled.
package func untilCancelled() async {
    // Nobody writes to it.
    let (stream, _) = AsyncStream.makeStream(of: Void.self)
    for await _ in stream {}
}
