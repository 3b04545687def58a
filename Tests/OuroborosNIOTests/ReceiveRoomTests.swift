import Testing

@testable import OuroborosNIO

@Suite struct ReceiveRoomTests {
    private final class Taker: RoomTaker {
        var share = ReceiveShare()
    }

    private typealias Room = ReceiveRoom<Taker>
    private let one = Taker()
    private let other = Taker()

    private func room(ofAll: Int = 8, ofOne: Int = 4, _ taken: [(Taker, Int)] = []) -> Room {
        var room = Room(ofAll: ofAll, ofOne: ofOne)
        for (taker, count) in taken {
            for _ in 0..<count { room.take(for: taker) }
        }
        return room
    }

    @Test func itTellsWhatIsFree() {
        var room = room([(one, 1)])
        #expect(room.news(for: one, isClosing: false) == 3)
        #expect(room.news(for: other, isClosing: false) == 4)
    }

    @Test func itTellsNothingTwice() {
        var room = room()
        #expect(room.news(for: one, isClosing: false) == 4)
        #expect(room.news(for: one, isClosing: false) == nil)
        room.take(for: one)
        #expect(room.news(for: one, isClosing: false) == 3)
    }

    @Test func whoClosesGetsNothing() {
        var room = room()
        #expect(room.news(for: one, isClosing: true) == 0)
    }

    @Test func moreThanThereIsIsNoLessThanNothing() {
        var room = room([(one, 6)])
        #expect(room.news(for: one, isClosing: false) == 0)
    }

    @Test func whatIsGivenBackIsFree() {
        var room = room([(one, 4)])
        #expect(room.news(for: one, isClosing: false) == 0)
        room.giveBack(for: one)
        #expect(room.news(for: one, isClosing: false) == 1)
        #expect(room.unconfirmed == 3)
    }

    /// Until the queue, or a share of it, was full, and again once something was given back.
    @Test(arguments: [(8, 4), (4, 8)]) func aTurnIsTakenAsAWhole(ofAll: Int, ofOne: Int) {
        var room = room(ofAll: ofAll, ofOne: ofOne, [(one, 3)])
        room.beginTurn()
        #expect(room.takesAll)
        for _ in 0..<3 { room.take(for: one) }
        #expect(room.takesAll)
        room.beginTurn()
        #expect(!room.takesAll)
        room.giveBack(for: one)
        #expect(!room.takesAll)
        room.beginTurn()
        #expect(room.takesAll)
    }

    /// Half of what one can have counts, and of a small queue that is less than half of its share.
    @Test(arguments: [(8, 4, 4), (4, 64, 4), (64, 64, 64), (8192, 64, 64), (1, 1, 1)])
    func theMostThatOneCanHave(ofAll: Int, ofOne: Int, most: Int) {
        #expect(room(ofAll: ofAll, ofOne: ofOne).most == most)
    }

    @Test(arguments: [(8, 4), (4, 64), (5, 64), (1, 1), (100, 64), (8192, 64)])
    func whoHearsThatHalfIsFreeHasHalfOfWhatItCanHave(ofAll: Int, ofOne: Int) throws {
        var room = room(ofAll: ofAll, ofOne: ofOne, [(other, ofAll)])
        #expect(room.news(for: one, isClosing: false) == 0)
        while room.takeFed().isEmpty, room.unconfirmed > 0 {
            room.giveBack(for: other)
        }
        let free = room.news(for: one, isClosing: false)
        #expect(try #require(free) * 2 >= room.most)
    }

    @Test func itIsHalfFreeBeforeAnybodyHears() {
        var room = room([(other, 8)])
        _ = room.news(for: one, isClosing: false)
        for _ in 0..<3 { room.giveBack(for: other) }
        #expect(room.takeFed().isEmpty)
        room.giveBack(for: other)
        #expect(room.takeFed().map(ObjectIdentifier.init) == [ObjectIdentifier(one)])
        #expect(room.takeFed().isEmpty)
    }

    @Test func whoseOwnShareIsTakenHearsByGivingBack() {
        var room = room([(one, 4)])
        _ = room.news(for: one, isClosing: false)
        #expect(room.takeFed().isEmpty)
    }

    /// Its own room was full, and when that was given back the others had filled the queue.
    @Test func whoGaveBackWhatOthersTookHearsOfIt() {
        var room = room([(one, 4), (other, 4)])
        _ = room.news(for: one, isClosing: false)
        for _ in 0..<4 { room.giveBack(for: one) }
        for _ in 0..<3 { room.take(for: other) }
        #expect(room.news(for: one, isClosing: false) == 1)
        for _ in 0..<3 { room.giveBack(for: other) }
        #expect(room.takeFed().count == 1)
    }

    @Test func nobodyWaitsTwice() {
        var room = room([(other, 8)])
        for _ in 0..<3 { _ = room.news(for: one, isClosing: false) }
        for _ in 0..<8 { room.giveBack(for: other) }
        #expect(room.takeFed().count == 1)
    }

    @Test func whoLeftDoesNotWait() {
        var room = room([(other, 8)])
        _ = room.news(for: one, isClosing: false)
        room.leave(one)
        for _ in 0..<8 { room.giveBack(for: other) }
        #expect(room.takeFed().isEmpty)
    }

    @Test func whatOneLeavesBehindCountsForAllAlone() {
        var room = room([(one, 4)])
        room.leave(one)
        #expect(room.unconfirmed == 4)
        #expect(room.news(for: one, isClosing: false) == 4)
        for _ in 0..<4 { room.giveBack(for: nil) }
        #expect(room.unconfirmed == 0)
    }

    @Test func aStreamIsReadUntilMoreThanItsShareIsThere() {
        #expect(!room([(one, 4)]).stopsReading(of: one))
    }

    @Test func aStreamWithMoreThanItsShareIsNotRead() {
        #expect(room([(one, 5)]).stopsReading(of: one))
    }

    @Test func aStreamIsReadInAFullQueueWhileNothingOfItIsThere() {
        let room = room([(other, 8), (one, 0)])
        #expect(!room.stopsReading(of: one))
        #expect(room.stopsReading(of: other))
    }
}
