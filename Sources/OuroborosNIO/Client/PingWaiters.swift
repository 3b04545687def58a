import NIOCore

/// One who waits for a PONG.
final class PingTicket: Sendable {}

/// Those who wait for a PONG: one PING is outstanding at a time, and its PONG answers all.
struct PingWaiters {
    struct Waiter {
        let ticket: PingTicket
        let since: NIODeadline
        let promise: EventLoopPromise<Duration>
    }

    private var waiters: [Waiter] = []

    mutating func add(_ ticket: PingTicket, on loop: any EventLoop) -> Waiter {
        let waiter = Waiter(ticket: ticket, since: loop.now, promise: loop.makePromise())
        waiters.append(waiter)
        return waiter
    }

    mutating func finish(_ ticket: PingTicket, _ result: Result<Duration, any Error>) {
        guard let index = waiters.firstIndex(where: { $0.ticket === ticket }) else { return }
        waiters.remove(at: index).promise.completeWith(result)
    }

    mutating func finish(_ result: Result<Duration, any Error>) {
        for waiter in waiters {
            waiter.promise.completeWith(result)
        }
        waiters.removeAll()
    }

    /// The engine counts milliseconds. Where its figure agrees, the finer one is given: a PING that was already
    /// outstanding, or had to be sent again, makes them differ.
    mutating func answered(_ milliseconds: UInt64, now: NIODeadline) {
        for waiter in waiters {
            let measured = (now - waiter.since).nanoseconds
            let counted = Int64(clamping: milliseconds) * 1_000_000
            let agrees = abs(measured - counted) < 2_000_000
            waiter.promise.succeed(.nanoseconds(agrees ? measured : counted))
        }
        waiters.removeAll()
    }
}
