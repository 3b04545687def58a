import NIOCore
import NIOEmbedded
import Synchronization

/// A clock that runs as fast as the machine: clients and servers that are configured with ``eventLoopGroup`` live
/// in its time, and so do the delays of a ``MemoryNetwork``.
///
/// ```swift
/// let time = VirtualTime()
/// configuration.eventLoopGroup = time.eventLoopGroup
/// try await time.run { /* connect, send, receive: all time-outs pass at once */ }
/// ```
public final class VirtualTime: Sendable {
    private let loop = NIOAsyncTestingEventLoop()
    private let jobs = VirtualTimeJobs()
    private let step: TimeAmount

    /// Time passes by steps of `step` while ``run(_:)`` runs.
    public init(step: Duration = .milliseconds(1)) {
        self.step = TimeAmount(step)
    }

    public var eventLoopGroup: any EventLoopGroup { loop }

    /// What has passed since it was made.
    public var elapsed: Duration {
        .nanoseconds(Int64(clamping: loop.now.uptimeNanoseconds))
    }

    /// Lets time pass while `body` runs: a step whenever it waits, and so do its child tasks. However busy the machine
    /// is, no time passes while one of them could go on; tasks without a parent only get a moment.
    public func run<Result: Sendable>(_ body: @Sendable @escaping () async throws -> Result) async throws
        -> Result
    {
        try await withThrowingTaskGroup(of: Result?.self) { group in
            group.addTask(executorPreference: jobs) { try await body() }
            group.addTask(executorPreference: globalConcurrentExecutor) {
                while !Task.isCancelled {
                    await self.advance()
                }
                return nil
            }
            defer { group.cancelAll() }
            while let result = try await group.next() {
                if let result { return result }
            }
            throw CancellationError()
        }
    }

    /// Waits in this time.
    public func sleep(for duration: Duration) async throws {
        try await loop.scheduleTask(in: TimeAmount(duration)) {}.futureResult.get()
    }

    /// One step; the tasks that it wakes get to run before the next.
    public func advance() async {
        await loop.advanceTime(by: step)
        for _ in 0..<4 {
            await Task.yield()
        }
        await jobs.settle()
    }
}
