import NIOCore

/// What a path does to the datagrams of one direction. Shares are from 0 to 1.
public struct Impairment: Sendable, Hashable {
    public var loss: Double
    public var duplication: Double
    /// The share that is held back for up to ``holdBack``, so that others overtake it.
    public var reordering: Double
    public var holdBack: Duration
    /// The share in which one bit is flipped.
    public var corruption: Double
    /// Each takes `delay`, up to `jitter` more or less: with jitter, too, datagrams overtake each other.
    public var delay: Duration
    public var jitter: Duration
    /// Bits a second, IP and UDP headers counted; nil is no limit.
    public var rate: Int?
    /// Bytes that may wait for the rate; what finds the queue full is lost. 64 KiB is 0.5 s at 1 Mbit/s.
    public var queue: Int
    /// The longest IP packet, in bytes; nil is no limit.
    public var mtu: Int?

    public init(
        loss: Double = 0, duplication: Double = 0, reordering: Double = 0,
        holdBack: Duration = .milliseconds(50), corruption: Double = 0, delay: Duration = .zero,
        jitter: Duration = .zero, rate: Int? = nil, queue: Int = 65_536, mtu: Int? = nil
    ) {
        self.loss = loss
        self.duplication = duplication
        self.reordering = reordering
        self.holdBack = holdBack
        self.corruption = corruption
        self.delay = delay
        self.jitter = jitter
        self.rate = rate
        self.queue = queue
        self.mtu = mtu
    }
}

/// What became of the datagrams of one direction.
public struct ImpairmentCounts: Sendable, Hashable {
    /// Datagrams that came to the path.
    public var sent = 0
    /// Datagrams that left it, copies among them.
    public var carried = 0
    public var lost = 0
    public var repeated = 0
    public var heldBack = 0
    public var corrupted = 0
    /// Longer than the MTU.
    public var tooLong = 0
    /// Those that found the queue of the rate full, or too many bytes on the way.
    public var overflowed = 0
}

/// A copy of a datagram that arrives.
struct Arrival: Hashable {
    var delay: Duration
    /// Which bit of it is flipped.
    var flippedBit: Int?
}

/// Decides what becomes of datagrams, one after the other: the same for the same seed and the same datagrams.
struct Impairer: Sendable {
    var impairment: Impairment
    private(set) var counts = ImpairmentCounts()
    private var random: SeededGenerator
    /// When the last datagram that waits for the rate has gone out.
    private var rateFree: Duration = .zero

    init(_ impairment: Impairment, seed: UInt64) {
        self.impairment = impairment
        random = SeededGenerator(seed: seed)
    }

    /// What arrives of a datagram of `size` bytes below `headers` of IP and UDP, at `now` of any clock.
    mutating func arrivals(size: Int, headers: Int, now: Duration) -> [Arrival] {
        counts.sent += 1
        // The same draws for each datagram, so that one more condition does not change the others.
        let (loss, again) = (random.share(), random.share())
        let copies = [Draws(from: &random), Draws(from: &random)]
        if let mtu = impairment.mtu, size + headers > mtu {
            counts.tooLong += 1
            return []
        }
        if loss < impairment.loss {
            counts.lost += 1
            return []
        }
        guard let wait = wait(size: size + headers, now: now) else {
            counts.overflowed += 1
            return []
        }
        let isRepeated = again < impairment.duplication
        counts.repeated += isRepeated ? 1 : 0
        return copies.prefix(isRepeated ? 2 : 1).map { arrival($0, size: size, after: wait) }
    }

    private mutating func arrival(_ draws: Draws, size: Int, after wait: Duration) -> Arrival {
        counts.carried += 1
        var delay = impairment.delay + impairment.jitter * (2 * draws.jitter - 1)
        if draws.late < impairment.reordering {
            counts.heldBack += 1
            delay += impairment.holdBack * draws.holdBack
        }
        guard draws.corruption < impairment.corruption, size > 0 else {
            return Arrival(delay: wait + max(delay, .zero))
        }
        counts.corrupted += 1
        return Arrival(delay: wait + max(delay, .zero), flippedBit: Int(draws.bit * Double(8 * size)))
    }

    /// How long it takes until a datagram went out at the rate; nil when the queue is full.
    private mutating func wait(size: Int, now: Duration) -> Duration? {
        guard let rate = impairment.rate else { return .zero }
        let waiting = max(rateFree - now, .zero)
        guard waiting / .seconds(1) * Double(rate) / 8 + Double(size) <= Double(impairment.queue) else {
            return nil
        }
        rateFree = now + waiting + .nanoseconds(Int64(8e9 * Double(size) / Double(rate)))
        return rateFree - now
    }

    /// The path has no room for a datagram that it would have carried.
    mutating func overflow() {
        counts.carried -= 1
        counts.overflowed += 1
    }
}

/// What chance says of one copy, whether it is asked or not.
private struct Draws {
    let late, holdBack, jitter, corruption, bit: Double

    init(from random: inout SeededGenerator) {
        late = random.share()
        holdBack = random.share()
        jitter = random.share()
        corruption = random.share()
        bit = random.share()
    }
}

extension Arrival {
    func apply(to packet: inout [UInt8]) {
        if let flippedBit {
            packet[flippedBit / 8] ^= 1 << (flippedBit % 8)
        }
    }
}

extension SocketAddress {
    /// The bytes of an IP header without options, and of UDP's.
    var headerSize: Int { self.protocol == .inet6 ? 48 : 28 }
}
