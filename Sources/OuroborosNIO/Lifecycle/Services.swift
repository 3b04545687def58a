import NIOCore
import ServiceLifecycle

extension ConnectionPool: Service {
    /// Until the pool is closed; a graceful shutdown closes it.
    public func run() async throws {
        await runUntilEnded(ended, close: { [self] in await close() })
    }
}

extension OuroborosServer: Service {
    /// Until the server is closed. A graceful shutdown closes it: each device is told, and what is under way is
    /// waited for, up to a limit. Somebody else reads ``batches``.
    public func run() async throws {
        await runUntilEnded(ended, close: { [self] in await close() })
    }
}

extension OuroborosConnection: Service {
    /// Until the connection is over. A graceful shutdown closes it.
    public func run() async throws {
        await runUntilEnded(ended, close: { [self] in await close() })
    }
}

/// A cancelled task closes at once.
private func runUntilEnded(
    _ ended: EventLoopFuture<Void>, close: @escaping @Sendable () async -> Void
) async {
    await cancelWhenGracefulShutdown { await waitUntilCancelled(or: ended) }
    await close()
}

private func waitUntilCancelled(or ended: EventLoopFuture<Void>) async {
    let (stream, over) = AsyncStream.makeStream(of: Void.self)
    ended.whenComplete { _ in over.finish() }
    // Iterating ends with the task, too.
    for await _ in stream {}
}
