import Dispatch
import Ouroboros

/// A thread for what waits for a disk: neither an event loop nor the threads that tasks share wait with it.
struct DiskThread: Sendable {
    private let queue: DispatchQueue

    init(_ label: String) {
        queue = DispatchQueue(label: "ouroboros.\(label)")
    }

    /// What was begun is done, though the task is cancelled: a write's outcome is always known.
    func run<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { done in
            queue.async { done.resume(with: Result { try body() }) }
        }
    }
}

/// A file that a gateway writes.
package protocol WatchedFile: ReadsRows {
    var path: String { get }
    /// Why it cannot be written now, as the last writes tell.
    var trouble: OuroborosError? { get }
    /// Tells that writes fail, for one reader.
    var failures: AsyncStream<Void> { get }
    /// Tries to write, and changes nothing.
    func probe() async throws
}
