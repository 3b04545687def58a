/// A value behind a lock. Not Synchronization's Mutex: on Linux the thread sanitizer does not see it lock, and would
/// report races where there are none.
// @unchecked: `value` is touched between lock and unlock only, and what enters or leaves is sent.
public final class Locked<Value>: @unchecked Sendable {
    private let lock: UnsafeMutablePointer<pthread_mutex_t>
    nonisolated(unsafe) private var value: Value

    public init(_ value: sending Value) {
        lock = .allocate(capacity: 1)
        let outcome = pthread_mutex_init(lock, nil)
        precondition(outcome == 0, "no lock: error \(outcome) of pthread_mutex_init")
        self.value = value
    }

    deinit {
        pthread_mutex_destroy(lock)
        lock.deallocate()
    }

    public func withLock<Result, Failure: Error>(
        _ body: (inout sending Value) throws(Failure) -> sending Result
    ) throws(Failure) -> sending Result {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        return try body(&value)
    }
}
