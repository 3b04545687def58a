import Ouroboros
import Testing

@testable import OuroborosDownlink

/// When the queue of messages to devices is looked at: by what waits in it, and by no clock that ticks.
@Suite struct QueueLooksTests {
    private let start = ContinuousClock.now
    /// In milliseconds since 1970.
    private let wall: Int64 = 1_700_000_000_000

    private func looked(firstExpiry: Int64? = nil) -> QueueLooks {
        var looks = QueueLooks(period: .seconds(60), at: start)
        looks.began(.whole)
        looks.ended(.whole, at: start, firstExpiry: firstExpiry)
        return looks
    }

    @Test func theFirstOneIsDueAtOnce() {
        let looks = QueueLooks(period: .seconds(60), at: start)
        #expect(looks.due(at: start, wall) == .whole)
    }

    @Test func withNothingThatWaitsItIsLookedAtOnceAPeriod() {
        let looks = looked()
        #expect(looks.due(at: start + .seconds(59), wall) == nil)
        #expect(looks.due(at: start + .seconds(60), wall) == .whole)
        #expect(looks.pause(at: start, wall) == .seconds(10))
        #expect(looks.pause(at: start + .seconds(57), wall) == .seconds(3))
    }

    @Test func whatGrowsOldIsDueThen() {
        let looks = looked(firstExpiry: wall + 5000)
        #expect(looks.due(at: start, wall + 4999) == nil)
        #expect(looks.pause(at: start, wall) == .seconds(5))
        #expect(looks.due(at: start, wall + 5000) == .ended)
        // The clock was set: it is looked at all the same.
        #expect(looks.due(at: start + .seconds(10), wall + 7_200_000) == .ended)
        #expect(looked(firstExpiry: wall + 86_400_000).pause(at: start, wall) == .seconds(10))
    }

    @Test func messagesThatEndOneAfterTheOtherAreLookedAtOnceASecond() {
        let looks = looked(firstExpiry: wall + 20)
        #expect(looks.pause(at: start, wall) == .seconds(1))
    }

    @Test func theFirstToEndCounts() {
        var looks = looked(firstExpiry: wall + 5000)
        let (later, sooner) = (looks.waits(until: wall + 6000), looks.waits(until: wall + 4000))
        #expect(!later && sooner)
        #expect(looks.due(at: start, wall + 4000) == .ended)
        // One that comes while the queue is read is not forgotten.
        looks.began(.ended)
        looks.waits(until: wall + 1000)
        looks.ended(.ended, at: start, firstExpiry: wall + 9000)
        #expect(looks.due(at: start, wall + 1000) == .ended)
    }

    @Test func whatWasMissedIsReadSoon() {
        var looks = looked()
        looks.missed()
        #expect(looks.due(at: start, wall) == .whole)
        #expect(looks.pause(at: start, wall) == .seconds(1))
        looks.began(.whole)
        looks.missed()
        looks.ended(.whole, at: start, firstExpiry: nil)
        #expect(looks.due(at: start, wall) == .whole)
    }

    @Test(arguments: [Int64.min, .max]) func valuesOfNoTimeAreNoFault(expiry: Int64) {
        let looks = looked(firstExpiry: expiry)
        #expect(looks.due(at: start, wall) == (expiry < 0 ? .ended : nil))
        #expect(looks.pause(at: start, wall) == (expiry < 0 ? .seconds(1) : .seconds(10)))
    }

    @Test func devicesThatWerePutOffAreTriedTogether() {
        var putOff = PutOffDevices()
        let (a, b) = (DeviceID(number: 1), DeviceID(number: 2))
        let first = putOff.add(a, at: start)
        let second = putOff.add(b, at: start + .milliseconds(900))
        #expect(first && !second)
        let taken = [999, 1000, 9000].map { putOff.take(at: start + .milliseconds($0)) }
        #expect(taken == [[], [a, b], []] && putOff.due == nil)
    }
}
