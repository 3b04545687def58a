import Testing

@testable import OuroborosTesting

@Suite struct ImpairmentTests {
    private func run(
        _ impairment: Impairment, seed: UInt64 = 7, datagrams: Int = 10_000, size: Int = 100,
        apart: Duration = .milliseconds(1)
    ) -> (arrivals: [[Arrival]], counts: ImpairmentCounts) {
        var impairer = Impairer(impairment, seed: seed)
        let arrivals = (0..<datagrams).map { number in
            impairer.arrivals(size: size, headers: 28, now: apart * number)
        }
        return (arrivals, impairer.counts)
    }

    private let everything = Impairment(
        loss: 0.1, duplication: 0.2, reordering: 0.3, holdBack: .milliseconds(40), corruption: 0.05,
        delay: .milliseconds(20), jitter: .milliseconds(10), rate: 2_000_000, queue: 4000)

    @Test func theSameSeedDoesTheSame() {
        let first = run(everything)
        #expect(first == run(everything))
        #expect(first.arrivals != run(everything, seed: 8).arrivals)
    }

    @Test func sharesAreWhatWasAskedFor() {
        let counts = run(everything).counts
        // 10,000 draws: 6 standard deviations are at most 0.03.
        #expect(abs(Double(counts.lost) / 10_000 - 0.1) < 0.03)
        #expect(abs(Double(counts.repeated) / 9000 - 0.2) < 0.03)
        #expect(abs(Double(counts.heldBack) / Double(counts.carried) - 0.3) < 0.03)
        #expect(abs(Double(counts.corrupted) / Double(counts.carried) - 0.05) < 0.03)
    }

    @Test func eachDatagramIsCountedOnce() {
        for impairment in [everything, Impairment(rate: 500_000, queue: 2000), Impairment(mtu: 100)] {
            let (arrivals, counts) = run(impairment)
            #expect(counts.sent == 10_000)
            #expect(
                counts.sent == counts.lost + counts.tooLong + counts.overflowed + counts.carried
                    - counts.repeated)
            #expect(arrivals.reduce(0) { $0 + $1.count } == counts.carried)
        }
    }

    @Test func oneMoreConditionDoesNotChangeTheOthers() {
        let some = run(Impairment(loss: 0.1)).arrivals.map(\.isEmpty)
        let more = run(Impairment(loss: 0.1, duplication: 0.5, corruption: 0.5, jitter: .milliseconds(5)))
        #expect(some == more.arrivals.map(\.isEmpty))
    }

    @Test func delaysStayInTheirBounds() {
        let delays = run(Impairment(delay: .milliseconds(20), jitter: .milliseconds(10))).arrivals.joined()
            .map(\.delay)
        #expect(delays.allSatisfy { (.milliseconds(10)...(.milliseconds(30))).contains($0) })
        #expect((delays.max() ?? .zero) - (delays.min() ?? .zero) > .milliseconds(19))
        // What would arrive before it was sent arrives at once.
        let early = run(Impairment(jitter: .milliseconds(10))).arrivals.joined().map(\.delay)
        #expect(early.allSatisfy { (.zero...(.milliseconds(10))).contains($0) })
        let held = run(Impairment(reordering: 0.5, holdBack: .milliseconds(40))).arrivals.joined()
        #expect(held.allSatisfy { $0.delay < .milliseconds(40) })
        #expect(held.contains { $0.delay > .milliseconds(39) })
    }

    @Test func aRateSpacesDatagramsAndItsQueueEnds() {
        // 1222 bytes below 28 of headers are 10 ms at 1 Mbit/s; 10 of them fill the queue.
        let (burst, counts) = run(
            Impairment(rate: 1_000_000, queue: 12_500), datagrams: 15, size: 1222, apart: .zero)
        #expect(burst.map { $0.first?.delay } == (1...15).map { $0 <= 10 ? .milliseconds(10 * $0) : nil })
        #expect(counts.overflowed == 5)
        // Those that come no faster than the rate wait for none.
        let steady = run(Impairment(rate: 1_000_000), datagrams: 5, size: 1222, apart: .milliseconds(10))
        #expect(steady.arrivals.allSatisfy { $0.map(\.delay) == [.milliseconds(10)] })
    }

    @Test func anMTUCountsHeaders() {
        #expect(run(Impairment(mtu: 1280), datagrams: 1, size: 1252).counts.carried == 1)
        #expect(run(Impairment(mtu: 1280), datagrams: 1, size: 1253).counts.tooLong == 1)
    }

    @Test func corruptionFlipsOneBit() {
        let packet = [UInt8](repeating: 0, count: 100)
        var bits: Set<Int> = []
        for arrival in run(Impairment(corruption: 1)).arrivals.joined() {
            var copy = packet
            arrival.apply(to: &copy)
            #expect(copy.reduce(0) { $0 + $1.nonzeroBitCount } == 1)
            bits.insert(arrival.flippedBit ?? -1)
        }
        #expect(bits == Set(0..<800))
        #expect(run(Impairment(corruption: 1), datagrams: 1, size: 0).counts.corrupted == 0)
    }
}
