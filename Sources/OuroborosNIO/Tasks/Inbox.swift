import DequeModule
import LibC

/// A queue from the event loop to the tasks that read. The engine's room bounds it, not the queue itself.
final class Inbox<Element: Sendable>: Sendable {
    private struct State {
        var elements: Deque<Element> = []
        var waiters: Deque<(id: UInt64, continuation: CheckedContinuation<Element?, Never>)> = []
        var nextWaiter: UInt64 = 0
        var isFinished = false
    }

    private let state = Locked(State())

    init() {}

    func append(_ element: Element) {
        let waiter = state.withLock { state in
            guard let waiter = state.waiters.popFirst() else {
                state.elements.append(element)
                return nil as CheckedContinuation<Element?, Never>?
            }
            return waiter.continuation
        }
        waiter?.resume(returning: element)
    }

    /// What is in the queue can still be read.
    func finish() {
        let waiters = state.withLock { state in
            state.isFinished = true
            defer { state.waiters.removeAll() }
            return state.waiters
        }
        for waiter in waiters {
            waiter.continuation.resume(returning: nil)
        }
    }

    /// The next element; nil at the end, or when the task is cancelled.
    func next() async -> Element? {
        let id = state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let (isDone, element) = state.withLock { state in
                    if let element = state.elements.popFirst() {
                        return (true, element as Element?)
                    }
                    if state.isFinished || Task.isCancelled {
                        return (true, nil)
                    }
                    state.waiters.append((id, continuation))
                    return (false, nil)
                }
                if isDone {
                    continuation.resume(returning: element)
                }
            }
        } onCancel: {
            let waiter = state.withLock { state in
                state.waiters.firstIndex { $0.id == id }.map { state.waiters.remove(at: $0) }
            }
            waiter?.continuation.resume(returning: nil)
        }
    }
}
