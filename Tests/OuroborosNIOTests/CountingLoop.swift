import Dispatch
import LibC
import NIOCore

/// Another loop, and how often something ran on it: what was asked for now, and what was asked for later.
final class CountingLoop: EventLoop {
    private let inner: any EventLoop
    private let runs = Locked(0)

    init(_ inner: any EventLoop) {
        self.inner = inner
    }

    var turns: Int { runs.withLock(\.self) }

    var inEventLoop: Bool { inner.inEventLoop }
    var now: NIODeadline { inner.now }

    func execute(_ task: @escaping @Sendable () -> Void) {
        inner.execute { [self] in
            count()
            task()
        }
    }

    func scheduleTask<T>(
        deadline: NIODeadline, _ task: @escaping @Sendable () throws -> T
    ) -> Scheduled<T> {
        inner.scheduleTask(deadline: deadline) { [self] in
            count()
            return try task()
        }
    }

    func scheduleTask<T>(in delay: TimeAmount, _ task: @escaping @Sendable () throws -> T) -> Scheduled<T> {
        scheduleTask(deadline: now + delay, task)
    }

    private func count() {
        runs.withLock { $0 += 1 }
    }

    func shutdownGracefully(queue: DispatchQueue, _ callback: @escaping @Sendable ((any Error)?) -> Void) {
        queue.async { callback(nil) }
    }
}
