import NIOCore
import Ouroboros
import Testing

@testable import OuroborosNIO

@Suite struct BackoffTests {
    private func drawnOut(_ pause: Duration) -> ClosedRange<Duration> { pause...pause * 1.5 }

    @Test func pausesDoubleUpToALimitAndBeginAnew() {
        var backoff = Backoff(first: .milliseconds(500))
        for expected in [500, 1000, 2000, 4000, 4000] {
            #expect(drawnOut(.milliseconds(expected)).contains(backoff.next(upTo: .seconds(4))))
        }
        backoff.reset()
        #expect(drawnOut(.milliseconds(500)).contains(backoff.next(upTo: .seconds(4))))
    }

    @Test func aPauseThatIsAskedForIsKept() {
        var backoff = Backoff(first: .milliseconds(500))
        #expect(drawnOut(.seconds(30)).contains(backoff.next(upTo: .seconds(4), atLeast: .seconds(30))))
        // It changes nothing for the next.
        #expect(drawnOut(.seconds(1)).contains(backoff.next(upTo: .seconds(4))))
    }

    @Test func aLimitBelowTheFirstHolds() {
        var backoff = Backoff(first: .seconds(60))
        #expect(drawnOut(.seconds(8)).contains(backoff.next(upTo: .seconds(8))))
    }

    @Test func manyDoNotComeBackTogether() {
        let pauses = (0..<50).map { _ in
            var backoff = Backoff(first: .seconds(1))
            return backoff.next(upTo: .seconds(1))
        }
        #expect(Set(pauses).count > 1)
    }

    @Test func pausesBetweenStreamsGrow() {
        let start = NIODeadline.uptimeNanoseconds(1_000_000_000)
        var pauses = ReconnectPauses(first: .seconds(2))
        for expected in [2, 4, 8, 8, 8] {
            #expect(drawnOut(.seconds(expected)).contains(pauses.next(now: start + .seconds(20))))
        }
        for expected in [16, 32, 64, 128, 256, 300, 300] {
            #expect(drawnOut(.seconds(expected)).contains(pauses.next(now: start + .seconds(70))))
        }
        pauses.reset()
        #expect(drawnOut(.seconds(2)).contains(pauses.next(now: start)))
    }
}
