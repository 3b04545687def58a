import Ouroboros
import Testing

@testable import OuroborosNIO

/// Each rule of a connection's life, with a number for a link and times that are passed in.
@Suite struct ClientStateTests {
    private typealias State = ClientState<Int>

    private func opening(connect: UInt64? = 45, idle: UInt64? = nil, close: UInt64 = 10) -> State {
        State(7, .init(connect: connect, idle: idle, close: close), now: 0)
    }

    private func connecting(connect: UInt64? = 45, idle: UInt64? = nil) -> State {
        var state = opening(connect: connect, idle: idle)
        _ = state.opened(now: 100)
        return state
    }

    private func connected(idle: UInt64? = nil) -> State {
        var state = connecting(idle: idle)
        state.established(now: 120)
        return state
    }

    private func closing() -> State {
        var state = connected()
        _ = state.close(now: 200)
        return state
    }

    private func closed(_ failure: OuroborosError? = nil) -> State {
        var state = connected()
        _ = state.end(failure)
        return state
    }

    @Test func beforeItIsOpenNothingIsDue() {
        #expect(opening().deadline == nil)
    }

    @Test func onceOpenItsLinkConnects() {
        var state = opening()
        #expect(state.opened(now: 100) == 7)
        #expect(state.deadline == 145)
    }

    @Test func itIsOpenedOnce() {
        var state = connecting()
        #expect(state.opened(now: 101) == nil)
    }

    @Test func whatWasClosedBeforeIsNotOpened() {
        var state = opening()
        #expect(state.close(now: 0) == true)
        #expect(state.opened(now: 1) == nil)
    }

    @Test func whatIsOverIsNotOpened() {
        var state = closed()
        #expect(state.opened(now: 1) == nil)
        #expect(state.link == nil)
    }

    @Test func withoutASessionItGivesUp() {
        var state = connecting()
        #expect(state.tick(now: 144, isQuiet: true) == nil)
        #expect(state.tick(now: 145, isQuiet: true) == .giveUp)
    }

    @Test func withoutALimitItDoesNotGiveUp() {
        var state = connecting(connect: nil)
        #expect(state.deadline == nil)
        #expect(state.tick(now: .max, isQuiet: true) == nil)
    }

    @Test func withASessionItDoesNotGiveUp() {
        var state = connected()
        #expect(state.isConnected)
        #expect(state.deadline == nil)
        #expect(state.tick(now: 1000, isQuiet: true) == nil)
    }

    @Test func itIsClosedWhenIdle() {
        var state = connected(idle: 50)
        #expect(state.deadline == 170)
        #expect(state.tick(now: 170, isQuiet: true) == .closeIdle)
    }

    @Test func aMessageMakesItWaitAnew() {
        var state = connected(idle: 50)
        state.used(now: 160)
        #expect(state.tick(now: 170, isQuiet: true) == nil)
        #expect(state.deadline == 210)
        #expect(state.tick(now: 210, isQuiet: true) == .closeIdle)
    }

    @Test func whatIsUnderWayIsLookedForSeldom() {
        var state = connected(idle: 50)
        #expect(state.tick(now: 170, isQuiet: false) == nil)
        #expect(state.deadline == 220)
        state.used(now: 180)
        #expect(state.tick(now: 220, isQuiet: true) == nil)
        #expect(state.deadline == 230)
        #expect(state.tick(now: 230, isQuiet: true) == .closeIdle)
    }

    @Test func aSecondSessionChangesNothing() {
        var state = connected(idle: 50)
        state.established(now: 160)
        #expect(state.deadline == 170)
    }

    @Test func closingIsCutShort() {
        var state = closing()
        #expect(state.isClosing)
        #expect(state.tick(now: 209, isQuiet: false) == nil)
        #expect(state.tick(now: 210, isQuiet: false) == .cutShort)
    }

    @Test func closingTwiceDoesNotTakeLonger() {
        var state = closing()
        #expect(state.close(now: 209) == true)
        #expect(state.deadline == 210)
    }

    @Test func whatClosesHasItsLinkAndTakesNoMessage() {
        let state = closing()
        #expect(state.link == 7)
        #expect(state.isConnected)
        #expect(state.refusal?.code == .failed)
    }

    @Test func aSessionThatComesWhileClosingCounts() {
        var state = connecting()
        _ = state.close(now: 110)
        #expect(!state.isConnected)
        state.established(now: 111)
        #expect(state.isConnected && state.isClosing)
    }

    @Test func itEndsOnce() {
        var state = connected()
        #expect(state.end(nil) == true)
        #expect(state.end(.unknown(isStalled: false)) == false)
        #expect(state.close(now: 300) == false)
    }

    @Test func whatIsOverHasNoLinkAndNothingDue() {
        var state = closed()
        #expect(state.link == nil)
        #expect(state.deadline == nil)
        #expect(state.tick(now: .max, isQuiet: true) == nil)
        state.established(now: 300)
        #expect(!state.isConnected)
    }

    @Test func whatIsOverTellsWhy() {
        let failure = OuroborosError(.storage, "the disk is full")
        #expect(throws: failure) { try closed(failure).openLink() }
        #expect(closed(failure).refusal == failure)
        #expect(throws: OuroborosError.connectionClosed) { try closed().openLink() }
        #expect(closed().refusal == .closedBeforeSending)
    }

    @Test func messagesAreTakenUntilItCloses() {
        for state in [opening(), connecting(), connected()] {
            #expect(state.refusal == nil)
        }
    }
}

@Suite struct StreamStateTests {
    private let giveUp = StreamState.giveUp.milliseconds

    @Test func aStreamThatIsHeldHasNothingDue() {
        #expect(StreamState().deadline == nil)
    }

    @Test func aServerThatIsMissedForLongIsUnreachable() {
        var stream = StreamState()
        stream.missed(now: 100)
        #expect(stream.tick(now: 99 + giveUp) == false)
        #expect(stream.tick(now: 100 + giveUp) == true)
        #expect(stream.deadline == nil)
    }

    @Test func triesInBetweenDoNotPutItOff() {
        var stream = StreamState()
        stream.missed(now: 100)
        stream.missed(now: 5000)
        #expect(stream.deadline == 100 + giveUp)
    }

    @Test func itIsToldOnce() {
        var stream = StreamState()
        stream.missed(now: 0)
        #expect(stream.tick(now: giveUp) == true)
        stream.missed(now: giveUp)
        #expect(stream.tick(now: 2 * giveUp) == false)
    }

    @Test func aSessionMakesItReachable() {
        var stream = StreamState()
        stream.missed(now: 0)
        _ = stream.tick(now: giveUp)
        #expect(stream.established() == true)
        #expect(stream.established() == false)
    }

    @Test func aSessionInTimeIsNoNews() {
        var stream = StreamState()
        stream.missed(now: 0)
        #expect(stream.established() == false)
        #expect(stream.deadline == nil)
    }

    @Test func aClosedSessionEndsItsStreamOnce() {
        var stream = StreamState()
        stream.sessionClosed(.rekey)
        #expect(stream.takeClosed() == .rekey)
        #expect(stream.takeClosed() == nil)
        #expect(!stream.isAfterShutdown)
    }

    @Test func aStreamThatBrokeIsNotEndedAgain() {
        var stream = StreamState()
        stream.sessionClosed(.shutdown)
        stream.broke()
        #expect(stream.takeClosed() == nil)
        #expect(!stream.isAfterShutdown)
    }

    @Test func afterAShutdownTheNextStreamWaits() {
        var stream = StreamState()
        stream.sessionClosed(.shutdown)
        #expect(stream.takeClosed() == .shutdown)
        #expect(stream.isAfterShutdown)
        _ = stream.established()
        #expect(!stream.isAfterShutdown)
    }
}
