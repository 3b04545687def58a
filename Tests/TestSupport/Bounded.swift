/// What a test waited for in vain: says where it hung, which a test's own time limit does not.
package struct Hung: Error, CustomStringConvertible {
    package let description: String

    package init(_ description: String) {
        self.description = description
    }
}

/// Runs `body` for so long at most. When the time is over, or the test is cancelled, it is cancelled and not waited for:
/// it may be what hangs.
package func bounded<Value: Sendable>(
    _ what: @autoclosure @escaping @Sendable () -> String, by limit: Duration,
    _ body: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    let (outcomes, tell) = AsyncStream.makeStream(of: Result<Value, any Error>.self)
    let work = Task {
        do {
            tell.yield(.success(try await body()))
        } catch {
            tell.yield(.failure(error))
        }
    }
    let alarm = Task {
        try await Task.sleep(for: limit)
        tell.yield(.failure(Hung("\(what()): not within \(limit)")))
    }
    defer {
        work.cancel()
        alarm.cancel()
    }
    for await outcome in outcomes {
        return try outcome.get()
    }
    throw CancellationError()
}

/// Waits until something is so. The limit is below that of every suite, so that it says what was waited for.
package func eventually(
    _ what: @autoclosure () -> String, within limit: Duration = .seconds(60), file: String = #fileID,
    line: Int = #line, _ isSo: () async throws -> Bool
) async throws {
    let end = ContinuousClock.now + limit
    while try await !isSo() {
        guard .now < end else { throw Hung("\(file):\(line): \(what()): not within \(limit)") }
        try await Task.sleep(for: .milliseconds(10))
    }
}
