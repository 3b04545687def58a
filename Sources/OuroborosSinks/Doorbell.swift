import Synchronization

/// Wakes one task that waits; rings before it waits count as one.
final class Doorbell: Sendable {
    private let stream: AsyncStream<Void>
    private let continuation: AsyncStream<Void>.Continuation

    init() {
        (stream, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    }

    func ring() {
        continuation.yield()
    }

    /// Until somebody rings, the time is over, or the task is cancelled.
    func wait(atMost time: Duration?) async {
        let alarm = time.map { time in
            Task { [continuation] in
                guard (try? await Task.sleep(for: time)) != nil else { return }
                continuation.yield()
            }
        }
        var iterator = stream.makeAsyncIterator()
        await iterator.next()
        alarm?.cancel()
    }
}
