import Histogram
import LibC

/// Times in nanoseconds, of all clients.
final class BenchRecorder: Sendable {
    private struct State {
        /// Three digits, up to an hour; it grows beyond.
        var histogram = {
            var histogram = Histogram<UInt64>(highestTrackableValue: 3_600_000_000_000)
            histogram.autoResize = true
            return histogram
        }()
        var begin: UInt64 = 0
        var end: UInt64 = 0
    }

    private let origin = ContinuousClock.now
    private let state = Locked(State())

    var now: UInt64 { UInt64((ContinuousClock.now - origin) / .nanoseconds(1)) }
    var histogram: Histogram<UInt64> { state.withLock(\.histogram) }
    var seconds: Double { state.withLock { Double($0.end - $0.begin) / 1e9 } }

    func start() {
        state.withLock { $0.begin = now }
    }

    func stop() {
        state.withLock { $0.end = now }
    }

    func record(since begin: UInt64) {
        let time = now
        state.withLock { _ = $0.histogram.record(time > begin ? time - begin : 0) }
    }
}

struct BenchResult: Sendable {
    let latencies: Histogram<UInt64>
    let seconds: Double
    /// From nothing to a session, a connection after the other.
    let connecting: Histogram<UInt64>

    var messages: UInt64 { latencies.totalCount }
    var rate: Double { Double(messages) / seconds }
}
