import Logging
import Synchronization

/// What the page shows, at one time.
struct PageState: Sendable {
    let counts: PageCounts
    /// Messages a second, the newest last; one a period.
    let rates: [Double]
    let devices: PageDevices
}

/// Looks at the gateway once a period, and tells those who listen.
public final class PageFeed: Sendable {
    struct Settings: Sendable {
        var period = Duration.seconds(2)
        /// What the chart of messages shows: two minutes.
        var history = 60
        /// Listeners at once; each costs a rendering a period.
        var listeners = 16
        /// A listener that does not take an event for so long is ended: it looks again when it can.
        var patience = Duration.seconds(10)
    }

    private struct State {
        var rates: [Double] = []
        var counts: PageCounts?
        var countedAt = ContinuousClock.now
        var devices = PageDevices([])
        var devicesAt: ContinuousClock.Instant?
        var asking: Task<PageDevices, any Error>?
        var listeners: [Int: AsyncStream<PageState>.Continuation] = [:]
        var next = 0
        var isOver = false
    }

    let source: any PageSource
    let settings: Settings
    private let logger: Logger
    private let state = Mutex(State())

    public convenience init(source: any PageSource, logger: Logger) {
        self.init(source: source, settings: Settings(), logger: logger)
    }

    init(source: any PageSource, settings: Settings, logger: Logger) {
        self.source = source
        self.settings = settings
        self.logger = logger
    }

    /// Until the task is cancelled; those who listen hear the end.
    public func run() async {
        while !Task.isCancelled {
            do {
                try await count()
                if state.withLock({ !$0.listeners.isEmpty }) {
                    let now = try await current()
                    for listener in state.withLock({ Array($0.listeners.values) }) {
                        listener.yield(now)
                    }
                }
            } catch {
                logger.debug("the page has nothing new: \(error)")
            }
            try? await Task.sleep(for: settings.period)
        }
        end()
    }

    /// Nobody listens any more, or will.
    public func end() {
        let listeners = state.withLock { state in
            state.isOver = true
            return Array(state.listeners.values)
        }
        // Their termination handlers take the lock.
        for listener in listeners {
            listener.finish()
        }
    }

    /// Devices are asked for once a period, however many look.
    func current() async throws -> PageState {
        let devices = try await devices()
        let (counts, rates) = state.withLock { ($0.counts, $0.rates) }
        if let counts { return PageState(counts: counts, rates: rates, devices: devices) }
        return PageState(counts: try await source.counts(), rates: rates, devices: devices)
    }

    private func count() async throws {
        let counts = try await source.counts()
        let now = ContinuousClock.now
        state.withLock { state in
            if let before = state.counts {
                let seconds = max((now - state.countedAt) / .seconds(1), 0.001)
                let new = counts.messages > before.messages ? counts.messages - before.messages : 0
                state.rates.append(Double(new) / seconds)
                state.rates.removeFirst(max(0, state.rates.count - settings.history))
            }
            state.counts = counts
            state.countedAt = now
        }
    }

    private func devices() async throws -> PageDevices {
        let asking = state.withLock { state -> Task<PageDevices, any Error> in
            // Half a period, so that each of the feed's own turns asks.
            if let at = state.devicesAt, .now - at < settings.period / 2 {
                let devices = state.devices
                return Task { devices }
            }
            if let asking = state.asking { return asking }
            let task = Task { try await source.devices() }
            state.asking = task
            return task
        }
        let result = await asking.result
        state.withLock { state in
            guard state.asking == asking else { return }
            state.asking = nil
            if case .success(let devices) = result {
                state.devices = devices
                state.devicesAt = .now
            }
        }
        return try result.get()
    }

    /// Each state as it comes, the newest only for those who are slow; nil when too many listen already.
    func listen() -> AsyncStream<PageState>? {
        let (stream, listener) = AsyncStream.makeStream(
            of: PageState.self, bufferingPolicy: .bufferingNewest(1))
        let id = state.withLock { state -> Int? in
            guard !state.isOver, state.listeners.count < settings.listeners else { return nil }
            state.next += 1
            state.listeners[state.next] = listener
            return state.next
        }
        guard let id else { return nil }
        listener.onTermination = { [weak self] _ in
            self?.state.withLock { _ = $0.listeners.removeValue(forKey: id) }
        }
        return stream
    }
}
