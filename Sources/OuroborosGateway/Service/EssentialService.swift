import LibC
import Ouroboros
import ServiceLifecycle

/// A part of the gateway without which it does not go on: when it ends, or fails, so does the gateway, and whoever started
/// it starts it anew.
struct EssentialService: Service {
    /// For people.
    let name: String
    let service: any Service
    let limit: EndLimit

    init(_ name: String, _ service: any Service, _ limit: EndLimit) {
        self.name = name
        self.service = service
        self.limit = limit
        limit.began(name)
    }

    func run() async throws {
        defer { limit.ended(name) }
        do {
            try await service.run()
        } catch {
            // The others end now.
            limit.begin()
            throw error
        }
        guard Task.isCancelled || Task.isShuttingDownGracefully else {
            limit.begin()
            throw OuroborosError(.failed, "\(name) has ended by itself, which is a fault of this program")
        }
    }
}

/// How long a gateway that ends may take. What hangs by then, at a disk or a reader, is left to the system: it cannot be
/// told to stop.
final class EndLimit: Sendable {
    private struct State {
        var running: [String] = []
        var hasBegun = false
        var isOver = false
    }

    private let time: Duration
    private let giveUp: @Sendable (String) -> Void
    private let state = Locked(State())

    /// Below the 15 s that the unit gives.
    static let usual = Duration.seconds(14)

    init(_ time: Duration = usual, giveUp: @escaping @Sendable (String) -> Void) {
        self.time = time
        self.giveUp = giveUp
    }

    func began(_ name: String) {
        state.withLock { $0.running.append(name) }
    }

    func ended(_ name: String) {
        state.withLock { state in state.running.removeAll { $0 == name } }
    }

    /// The gateway is to end: the time runs.
    func begin() {
        let isFirst = state.withLock { state in
            defer { state.hasBegun = true }
            return !state.hasBegun
        }
        guard isFirst else { return }
        // What hangs may have the tasks' threads.
        Task { [self] in try? await OwnThread().run { [self] in wait() } }
    }

    /// The gateway has ended.
    func over() {
        state.withLock { $0.isOver = true }
    }

    private func wait() {
        let end = ContinuousClock.now + time
        while ContinuousClock.now < end {
            guard !state.withLock(\.isOver) else { return }
            usleep(100_000)
        }
        let (running, isOver) = state.withLock { ($0.running, $0.isOver) }
        guard !isOver else { return }
        giveUp(
            """
            the gateway does not end within \(time), as these hang: \(running.joined(separator: ", ")); what was not \
            written is not acknowledged, and what a sink did not take stays in the spool
            """)
    }
}
