import NIOConcurrencyHelpers

/// A value behind a lock. Not Synchronization's Mutex: on Linux ThreadSanitizer does not see it lock, and would
/// report races where there are none.
struct Locked<Value: Sendable>: Sendable {
    private let box: NIOLockedValueBox<Value>

    init(_ value: Value) {
        box = NIOLockedValueBox(value)
    }

    func withLock<Result>(_ body: (inout Value) throws -> Result) rethrows -> Result {
        try box.withLockedValue(body)
    }
}
