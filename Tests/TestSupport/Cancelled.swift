/// Runs `body`, cancels it once it waits, and gives what it ended with, which has to be at once.
package func cancelled<Value: Sendable>(
    _ what: String, once waits: () async throws -> Bool,
    _ body: @escaping @Sendable () async throws -> Value
) async throws -> Result<Value, any Error> {
    let task = Task { try await body() }
    defer { task.cancel() }
    try await eventually("\(what) waits") { try await waits() }
    task.cancel()
    return try await bounded("the end of \(what), which was cancelled", by: .seconds(10)) {
        await task.result
    }
}
