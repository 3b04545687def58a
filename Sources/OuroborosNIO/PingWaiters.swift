import NIOCore

/// Those who wait for a PONG: one PING is outstanding at a time, and its PONG answers all.
struct PingWaiters {
    struct Waiter {
        let number: Int
        let since: NIODeadline
        let promise: EventLoopPromise<Duration>
    }

    private var waiters: [Waiter] = []
    private var next = 0

    mutating func add(on loop: any EventLoop) -> Waiter {
        next += 1
        let waiter = Waiter(number: next, since: loop.now, promise: loop.makePromise())
        waiters.append(waiter)
        return waiter
    }

    mutating func finish(_ waiter: Waiter, _ result: Result<Duration, any Error>) {
        waiters.removeAll { $0.number == waiter.number }
        waiter.promise.completeWith(result)
    }

    mutating func finish(_ result: Result<Duration, any Error>) {
        for waiter in waiters {
            waiter.promise.completeWith(result)
        }
        waiters.removeAll()
    }

    /// The engine counts milliseconds. Where its figure agrees, the finer one is given: a PING that was already
    /// outstanding, or had to be sent again, makes them differ.
    mutating func answered(_ milliseconds: UInt64) {
        for waiter in waiters {
            let measured = (NIODeadline.now() - waiter.since).nanoseconds
            let counted = Int64(clamping: milliseconds) * 1_000_000
            let agrees = abs(measured - counted) < 2_000_000
            waiter.promise.succeed(.nanoseconds(agrees ? measured : counted))
        }
        waiters.removeAll()
    }
}
