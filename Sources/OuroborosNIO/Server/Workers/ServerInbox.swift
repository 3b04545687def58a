import LibC
/// The server's queue: a reader takes all that is there at once.
final class ServerInbox: Sendable {
    private struct State {
        var messages: [ReceivedMessage] = []
        var waiter: (reader: UInt64, continuation: CheckedContinuation<[ReceivedMessage]?, Never>)?
        var lastReader: UInt64 = 0
        var isFinished = false
    }

    private let state = Locked(State())

    func append(_ new: [ReceivedMessage]) {
        let waiter = state.withLock { state in
            guard let waiter = state.waiter.take() else {
                state.messages.append(contentsOf: new)
                return nil as CheckedContinuation<[ReceivedMessage]?, Never>?
            }
            return waiter.continuation
        }
        waiter?.resume(returning: new)
    }

    func finish() {
        let waiter = state.withLock { state in
            state.isFinished = true
            return state.waiter.take()
        }
        waiter?.continuation.resume(returning: nil)
    }

    /// All there is, once there is something; nil at the end, when the task is cancelled, and for a second
    /// reader beside one that waits.
    func next() async -> [ReceivedMessage]? {
        let reader = state.withLock { state in
            state.lastReader += 1
            return state.lastReader
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let (isDone, messages) = state.withLock { state in
                    if !state.messages.isEmpty {
                        defer { state.messages = [] }
                        return (true, state.messages as [ReceivedMessage]?)
                    }
                    if state.isFinished || Task.isCancelled || state.waiter != nil {
                        return (true, nil)
                    }
                    state.waiter = (reader, continuation)
                    return (false, nil)
                }
                if isDone {
                    continuation.resume(returning: messages)
                }
            }
        } onCancel: {
            let waiter = state.withLock { state in
                state.waiter?.reader == reader ? state.waiter.take() : nil
            }
            waiter?.continuation.resume(returning: nil)
        }
    }
}
