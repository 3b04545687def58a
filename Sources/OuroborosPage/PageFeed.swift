import LibC
import Logging

/// What the page shows, at one time.
struct PageState: Sendable {
    let counts: PageCounts
    /// Messages a second, the newest last; one a period.
    let rates: [Double]
    let devices: PageDevices
    /// The devices in the orders that are asked for, and the parts of the page that are.
    let orders: SharedWork<DeviceOrder, [PageDevice]>
    let parts = SharedWork<String, [(id: String, html: String)]?>()
}

/// Looks at the gateway once a period while somebody listens, and tells those who do.
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
        var rates: MessageRates
        var current: PageState?
        var askedAt = ContinuousClock.now
        var asking: Task<PageState, any Error>?
        var listeners: [Int: AsyncStream<PageState>.Continuation] = [:]
        var next = 0
        var isOver = false
    }

    let source: any PageSource
    let settings: Settings
    private let logger: Logger
    private let state: Locked<State>
    /// Somebody listens.
    private let wakes: AsyncStream<Void>
    private let wake: AsyncStream<Void>.Continuation

    public convenience init(source: any PageSource, logger: Logger) {
        self.init(source: source, settings: Settings(), logger: logger)
    }

    init(source: any PageSource, settings: Settings, logger: Logger) {
        self.source = source
        self.settings = settings
        self.logger = logger
        state = Locked(
            State(rates: MessageRates(slot: settings.period, slots: settings.history, since: .now)))
        (wakes, wake) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    }

    /// So many messages came just now.
    public func came(_ messages: Int) {
        state.withLock { $0.rates.came(messages, at: .now) }
    }

    /// Until the task is cancelled; those who listen hear the end.
    public func run() async {
        for await _ in wakes {
            while !Task.isCancelled, state.withLock({ !$0.listeners.isEmpty }) {
                await tell()
                try? await Task.sleep(for: settings.period)
            }
        }
        end()
    }

    private func tell() async {
        do {
            let now = try await current()
            for listener in state.withLock({ Array($0.listeners.values) }) {
                listener.yield(now)
            }
        } catch {
            logger.debug("the page has nothing new: \(error)")
        }
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

    /// The gateway is asked once a period, however many look.
    func current() async throws -> PageState {
        let asking = state.withLock { state -> Task<PageState, any Error> in
            // Half a period, so that each of the feed's own turns asks.
            if let current = state.current, .now - state.askedAt < settings.period / 2 {
                return Task { current }
            }
            if let asking = state.asking { return asking }
            let task = Task { try await ask() }
            state.asking = task
            return task
        }
        let result = await asking.result
        state.withLock { state in
            guard state.asking == asking else { return }
            state.asking = nil
            if case .success(let current) = result {
                state.current = current
                state.askedAt = .now
            }
        }
        return try result.get()
    }

    private func ask() async throws -> PageState {
        let devices = try await source.devices()
        let counts = try await source.counts()
        let (rates, before) = state.withLock { ($0.rates.values(at: .now), $0.current) }
        // What did not change is in order already.
        let orders = before.flatMap { $0.devices == devices ? $0.orders : nil }
        return PageState(counts: counts, rates: rates, devices: devices, orders: orders ?? SharedWork())
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
        wake.yield()
        listener.onTermination = { [weak self] _ in
            self?.state.withLock { _ = $0.listeners.removeValue(forKey: id) }
        }
        return stream
    }
}
