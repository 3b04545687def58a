import LibC
import Ouroboros

/// What became of a fleet's handshakes and messages.
struct FleetCounts: Sendable {
    var connected = 0
    var notConnected = 0
    var delivered = 0
    /// Of those delivered, the ones that took longer than a second from when they were due.
    var late = 0
    /// Sent, and may have arrived.
    var unknown = 0
    /// Never sent.
    var failed = 0
    /// Sessions beyond each device's first.
    var reconnects: UInt64 = 0
    var retransmissions: UInt64 = 0
    var firstProblem: OuroborosError?
}

/// The same, counted by many tasks.
final class FleetTally: Sendable {
    private let state = Locked(FleetCounts())
    let connecting = BenchRecorder()
    let delivering = BenchRecorder()

    var counts: FleetCounts { state.withLock(\.self) }

    private static let late: UInt64 = 1_000_000_000

    func connected(since begin: UInt64) {
        connecting.record(since: begin)
        state.withLock { $0.connected += 1 }
    }

    func notConnected(_ error: any Error) {
        state.withLock { state in
            state.notConnected += 1
            state.note(error)
        }
    }

    /// Timed from when it was due: a device that could not send in time counts as slow, not as silent.
    func delivered(due: UInt64) {
        let isLate = delivering.now > due + Self.late
        delivering.record(since: due)
        state.withLock { state in
            state.delivered += 1
            state.late += isLate ? 1 : 0
        }
    }

    func ended(_ error: any Error) {
        state.withLock { state in
            if (error as? OuroborosError)?.code.mayHaveArrived == true {
                state.unknown += 1
            } else {
                state.failed += 1
            }
            state.note(error)
        }
    }

    func add(_ statistics: Statistics) {
        state.withLock { state in
            state.reconnects += statistics.handshakes > 0 ? statistics.handshakes - 1 : 0
            state.retransmissions += statistics.retransmitted
        }
    }
}

extension FleetCounts {
    fileprivate mutating func note(_ error: any Error) {
        firstProblem = firstProblem ?? (error as? OuroborosError) ?? OuroborosError(.transport, "\(error)")
    }
}
