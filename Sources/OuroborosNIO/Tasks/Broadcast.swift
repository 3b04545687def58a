import LibC
/// Changes for as many readers as there are. Each hears of all that come after it asked, however slow it is: what it has
/// not read is kept for it.
final class Broadcast<Element: Sendable>: Sendable {
    private struct State {
        var readers: [Int: AsyncStream<Element>.Continuation] = [:]
        var next = 0
        var isFinished = false
    }

    private let state = Locked(State())

    /// Nothing comes between the first one and those that are sent.
    func subscribe(startingWith first: () -> Element? = { nil }) -> AsyncStream<Element> {
        let (stream, reader) = AsyncStream.makeStream(of: Element.self)
        let id = state.withLock { state -> Int? in
            if let first = first() {
                reader.yield(first)
            }
            guard !state.isFinished else { return nil }
            state.next += 1
            state.readers[state.next] = reader
            return state.next
        }
        guard let id else {
            reader.finish()
            return stream
        }
        reader.onTermination = { [weak self] _ in
            self?.state.withLock { _ = $0.readers.removeValue(forKey: id) }
        }
        return stream
    }

    /// `change` makes it what new readers start with.
    func send(_ element: Element, _ change: () -> Void = {}) {
        state.withLock { state in
            change()
            for reader in state.readers.values {
                reader.yield(element)
            }
        }
    }

    func finish() {
        let readers = state.withLock { state in
            state.isFinished = true
            return Array(state.readers.values)
        }
        // Their termination handlers take the lock.
        for reader in readers {
            reader.finish()
        }
    }
}
