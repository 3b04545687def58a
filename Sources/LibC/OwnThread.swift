/// What blocks for as long as it likes, on a thread of its own: neither the tasks' threads, of which a small machine has
/// one, nor any that others share wait with it. Calls follow one another; a thread without any ends after a while.
public final class OwnThread: Sendable {
    private struct Queue {
        var calls: [(id: UInt64, run: @Sendable () -> Void)] = []
        var lastID: UInt64 = 0
        var hasThread = false
        /// It waits for the bell.
        var isIdle = false
        /// When the call that is under way began.
        var began: ContinuousClock.Instant?
    }

    private let queue = Locked(Queue())
    private let bell = Bell()

    /// A system that has no thread to give may have one soon.
    private static let pause = Duration.milliseconds(100)
    /// Seconds. To make a thread costs as much as a short call.
    private static let patience = 2

    public init() {}

    /// Calls that wait for their turn.
    public var waiting: Int { queue.withLock { $0.calls.count } }

    /// How long the call that is under way has taken; zero without one.
    public var busyFor: Duration { queue.withLock { $0.began.map { .now - $0 } ?? .zero } }

    /// A task that is cancelled takes back a call that has not begun. What has begun is waited for: nobody can tell a write
    /// that is under way to stop, and its outcome is always known.
    public func run<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await call(body) { try await $0.valueThoughCancelled() }
    }

    /// For what only reads: a task that is cancelled goes on at once, and a call that has begun is left to itself.
    public func runUnlessCancelled<Value: Sendable>(
        _ body: @escaping @Sendable () throws -> Value
    ) async throws -> Value {
        try await call(body) { try await $0.value() }
    }

    private func call<Value: Sendable>(
        _ body: @escaping @Sendable () throws -> Value, _ wait: (Promised<Value>) async throws -> Value
    ) async throws -> Value {
        let outcome = Promised<Value>()
        let id = queue.withLock { queue in
            queue.lastID += 1
            queue.calls.append((queue.lastID, { outcome.finish(Result { try body() }) }))
            return queue.lastID
        }
        return try await withTaskCancellationHandler {
            while !Task.isCancelled, !hasThread() {
                try? await Task.sleep(for: Self.pause)
            }
            return try await wait(outcome)
        } onCancel: {
            if takeBack(id) {
                outcome.finish(.failure(CancellationError()))
            }
        }
    }

    /// False when it has begun.
    private func takeBack(_ id: UInt64) -> Bool {
        queue.withLock { queue in
            guard let index = queue.calls.firstIndex(where: { $0.id == id }) else { return false }
            queue.calls.remove(at: index)
            return true
        }
    }

    /// False when one is needed and the system has none to give.
    private func hasThread() -> Bool {
        let (hasThread, isIdle) = queue.withLock { queue in
            guard !queue.calls.isEmpty else { return (true, false) }
            if !queue.hasThread {
                queue.hasThread = runDetached { [self] in work() }
            }
            defer { queue.isIdle = false }
            return (queue.hasThread, queue.isIdle)
        }
        if isIdle { bell.ring() }
        return hasThread
    }

    private func work() {
        while let call = next() {
            call()
        }
    }

    /// Waits for one; nil when the thread is to end.
    private func next() -> (@Sendable () -> Void)? {
        if let call = take(orEnd: false) { return call }
        while bell.wait(seconds: Self.patience) {
            if let call = take(orEnd: false) { return call }
        }
        return take(orEnd: true)
    }

    private func take(orEnd isLast: Bool) -> (@Sendable () -> Void)? {
        queue.withLock { queue in
            queue.isIdle = queue.calls.isEmpty && !isLast
            guard !queue.calls.isEmpty else {
                queue.hasThread = !isLast
                queue.began = nil
                return nil
            }
            queue.began = .now
            return queue.calls.removeFirst().run
        }
    }
}

/// Wakes a thread that waits for it.
// @unchecked: a semaphore is made to be used by any thread.
private final class Bell: @unchecked Sendable {
    private let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

    init() {
        sem_init(semaphore, 0, 0)
    }

    deinit {
        sem_destroy(semaphore)
        semaphore.deallocate()
    }

    func ring() {
        sem_post(semaphore)
    }

    /// False when nobody rang in time.
    func wait(seconds: Int) -> Bool {
        var end = timespec()
        clock_gettime(CLOCK_REALTIME, &end)
        end.tv_sec += seconds
        return sem_timedwait(semaphore, &end) == 0
    }
}
