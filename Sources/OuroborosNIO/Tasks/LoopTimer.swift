import NIOCore

/// One timer of an event loop, set to the earliest time that was asked for. It is bound to its loop.
final class LoopTimer {
    private let loop: any EventLoop
    private let fire: @Sendable () -> Void
    private var scheduled: Scheduled<Void>?
    private var due: UInt64 = .max

    private static let blockedPeriod: UInt64 = 100

    init(on loop: any EventLoop, _ fire: @escaping @Sendable () -> Void) {
        self.loop = loop
        self.fire = fire
    }

    /// A timer that fires early costs less than one that is set anew at each packet: it stays if it is sooner.
    func arm(at deadline: UInt64?, now: UInt64) {
        // The next millisecond at the earliest: an engine that asks for this one again cannot spin.
        guard let deadline = deadline.map({ max($0, now + 1) }), deadline < due else { return }
        scheduled?.cancel()
        due = deadline
        scheduled = loop.scheduleTask(deadline: .milliseconds(deadline), fire)
    }

    /// The time to wake for a link that has something due at `deadline`. While nothing of it can be sent what can tells, and
    /// its other times are looked at now and then.
    static func wake(_ deadline: UInt64?, maySend: Bool, now: UInt64) -> UInt64? {
        maySend ? deadline : deadline.map { max($0, now + blockedPeriod) }
    }

    /// To be called first when it fired.
    func fired() {
        scheduled = nil
        due = .max
    }

    func cancel() {
        scheduled?.cancel()
        fired()
    }
}

extension NIODeadline {
    /// The engine's milliseconds.
    var milliseconds: UInt64 { uptimeNanoseconds / 1_000_000 }

    static func milliseconds(_ time: UInt64) -> NIODeadline {
        .uptimeNanoseconds(min(time, UInt64(Int64.max) / 1_000_000) * 1_000_000)
    }
}

extension Duration {
    /// The engine's milliseconds, without their fraction.
    var milliseconds: UInt64 { UInt64(max(0, TimeAmount(self).nanoseconds) / 1_000_000) }
}
