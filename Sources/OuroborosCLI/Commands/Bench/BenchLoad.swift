import Histogram
import Ouroboros
import OuroborosNIO
import Synchronization

/// Clients that send as fast as their messages are delivered, or come back.
struct BenchLoad: Sendable {
    enum Goal: Sendable {
        case messages(Int)
        case time(Duration)
    }

    /// A message that is to come back begins with the time at which it left.
    static let stampSize = 8

    let size: Int
    let inFlight: Int
    let echoes: Bool
    let warmUp: Duration
    let goal: Goal

    func run(
        against server: Endpoint, as identities: [Credential], _ configuration: ClientConfiguration
    ) async throws -> BenchResult {
        let connecting = BenchRecorder()
        let connections = try await connect(to: server, as: identities, configuration, connecting)
        let recorder = BenchRecorder()
        do {
            try await send(over: connections, until: .time(warmUp), into: BenchRecorder())
            recorder.start()
            try await send(over: connections, until: goal, into: recorder)
            recorder.stop()
        } catch {
            for connection in connections { await connection.closeAtOnce() }
            throw error
        }
        for connection in connections { await connection.close() }
        return BenchResult(
            latencies: recorder.histogram, seconds: recorder.seconds, connecting: connecting.histogram)
    }

    private func connect(
        to server: Endpoint, as identities: [Credential], _ configuration: ClientConfiguration,
        _ recorder: BenchRecorder
    ) async throws -> [OuroborosConnection] {
        var connections: [OuroborosConnection] = []
        for identity in identities {
            let begin = recorder.now
            connections.append(
                try await OuroborosClient.connect(
                    to: server, credential: identity, configuration: configuration))
            recorder.record(since: begin)
        }
        return connections
    }

    private func send(
        over connections: [OuroborosConnection], until goal: Goal, into recorder: BenchRecorder
    ) async throws {
        let budget = BenchBudget(goal)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for connection in connections {
                if echoes {
                    group.addTask { try await exchange(over: connection, budget, recorder) }
                } else {
                    for _ in 0..<inFlight {
                        group.addTask { try await deliver(over: connection, budget, recorder) }
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    private func deliver(
        over connection: OuroborosConnection, _ budget: BenchBudget, _ recorder: BenchRecorder
    ) async throws {
        let payload = [UInt8](repeating: 0x61, count: size)
        while budget.take() {
            let begin = recorder.now
            try await connection.send(payload)
            recorder.record(since: begin)
        }
    }

    /// All that was sent has come back when it returns.
    private func exchange(
        over connection: OuroborosConnection, _ budget: BenchBudget, _ recorder: BenchRecorder
    ) async throws {
        var replies = connection.messages.makeAsyncIterator()
        var underWay = 0
        repeat {
            while underWay < inFlight, budget.take() {
                _ = try await connection.enqueue(stamped(recorder.now))
                underWay += 1
            }
            guard underWay > 0 else { return }
            guard let reply = await replies.next() else {
                throw OuroborosError(.transport, "the connection ended with \(underWay) messages under way")
            }
            guard reply.payload.count == size else {
                throw OuroborosError(
                    .transport, "a message of \(reply.payload.count) bytes came, and none like it was sent")
            }
            underWay -= 1
            recorder.record(since: stamp(of: reply.payload))
        } while true
    }

    private func stamped(_ time: UInt64) -> [UInt8] {
        withUnsafeBytes(of: time) { Array($0) } + [UInt8](repeating: 0x61, count: size - Self.stampSize)
    }

    private func stamp(of payload: [UInt8]) -> UInt64 {
        payload.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }
    }
}

/// How much there is still to send.
private final class BenchBudget: Sendable {
    private let left: Atomic<Int>
    private let end: ContinuousClock.Instant?

    init(_ goal: BenchLoad.Goal) {
        switch goal {
        case .messages(let count):
            left = Atomic(count)
            end = nil
        case .time(let duration):
            left = Atomic(.max)
            end = .now + duration
        }
    }

    func take() -> Bool {
        if let end, ContinuousClock.now >= end { return false }
        return left.wrappingSubtract(1, ordering: .relaxed).oldValue > 0
    }
}
