import Ouroboros
import Testing

/// A route that can be asked where a value that changes cannot.
private final class Route {
    static var lookUpSoon: UInt64 { ServerRoute<String>.lookUpSoon }
    static var lookUpLate: UInt64 { ServerRoute<String>.lookUpLate }

    private var route: ServerRoute<String>

    init(to address: String) { route = ServerRoute(to: address) }
    init(now: UInt64) { route = ServerRoute(now: now) }

    var accepted: Set<String> { route.accepted }
    var deadline: UInt64? { route.deadline }
    func address(ofSession id: UInt32) -> String? { route.address(ofSession: id) }
    func expects(_ id: UInt32, from address: String) -> Bool { route.expects(id, from: address) }
    func hello(_ packet: [UInt8] = [1], now: UInt64) -> String? { route.hello(packet, now: now) }
    func next(now: UInt64) -> String? { route.next(now: now)?.address }
    func helloEnded() { route.helloEnded() }
    func beginLookUp(now: UInt64) -> Bool { route.beginLookUp(now: now) }
    func found(_ addresses: [String], now: UInt64) { route.found(addresses, now: now) }
    func failed(now: UInt64) { route.failed(now: now) }

    func took(_ id: UInt32, from address: String, held: [UInt32], isShakingHands: Bool = false) {
        route.took(id, from: address, held: held, isShakingHands: isShakingHands)
    }

    /// Where the HELLO goes then, and when.
    func goes(_ times: ClosedRange<UInt64>) -> [String] {
        stride(from: times.lowerBound, through: times.upperBound, by: 50).flatMap { now in
            next(now: now).map { ["\($0) \(now)"] } ?? []
        }
    }
}

struct ServerRouteTests {
    /// A name with these addresses, looked up at 0.
    private func route(_ addresses: String...) -> Route {
        let route = Route(now: 0)
        #expect(route.beginLookUp(now: 0))
        route.found(addresses, now: 0)
        return route
    }

    /// The same, whose server has answered from there.
    private func connected(_ route: Route, at answer: String) -> Route {
        _ = route.hello(now: 0)
        route.took(7, from: answer, held: [7])
        return route
    }

    @Test func anAddressIsNeverLookedUp() {
        let route = Route(to: "a")
        #expect(!route.beginLookUp(now: 0))
        #expect(route.hello(now: 0) == "a")
        #expect(route.hello(now: 2000) == "a")
        #expect(route.deadline == nil)
        #expect(route.accepted == ["a"])
        #expect(route.address(ofSession: 7) == "a")
    }

    @Test func eachAddressIsTriedAQuarterOfASecondAfterTheLast() {
        let route = self.route("a", "b", "c")
        #expect(route.hello(now: 100) == "a")
        #expect(route.accepted == ["a"])
        #expect(route.next(now: 349) == nil)
        #expect(route.goes(100...10_000) == ["b 350", "c 600"])
        #expect(route.accepted == ["a", "b", "c"])
    }

    @Test func theOneThatAnswersStays() {
        let route = self.route("a", "b", "c")
        _ = route.hello(now: 0)
        #expect(route.goes(0...250) == ["b 250"])
        route.took(7, from: "b", held: [7])
        #expect(route.accepted == ["b"])
        #expect(route.address(ofSession: 7) == "b")
        #expect(route.expects(7, from: "b"))
        #expect(route.deadline.map { $0 <= Route.lookUpLate } == true)
        #expect(route.goes(250...200_000).isEmpty)
        // The next handshake begins there.
        #expect(route.hello(now: 1000) == "b")
    }

    @Test func theHelloWaitsForAnAddress() {
        let route = Route(now: 0)
        #expect(route.beginLookUp(now: 0))
        #expect(route.hello(now: 0) == nil)
        #expect(route.next(now: 5000) == nil)
        route.found(["a", "b"], now: 5000)
        #expect(route.goes(5000...10_000) == ["a 5000", "b 5250"])
    }

    @Test func aNameThatFailsIsLookedUpAgain() {
        let route = Route(now: 0)
        var now: UInt64 = 0
        var pauses: [UInt64] = []
        for _ in 0..<7 {
            #expect(route.beginLookUp(now: now))
            #expect(!route.beginLookUp(now: now))
            route.failed(now: now)
            pauses.append((route.deadline ?? 0) - now)
            now = route.deadline ?? 0
        }
        #expect(pauses == [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000])
    }

    @Test func aHelloWithoutAnAnswerBringsALookUp() {
        let route = connected(self.route("a"), at: "a")
        #expect(route.deadline == 300_000)
        #expect(route.beginLookUp(now: 300_000))
        route.found(["a"], now: 300_000)
        #expect(route.deadline == 600_000)
        // The first one of a handshake is not late yet.
        _ = route.hello(now: 400_000)
        #expect(!route.beginLookUp(now: 400_000))
        _ = route.hello(now: 402_000)
        #expect(route.beginLookUp(now: 402_000))
        route.found(["a"], now: 402_000)
        // While nobody answers it is looked up each half minute.
        #expect(route.deadline == 432_000)
        // Not twice a second.
        _ = route.hello(now: 402_100)
        #expect(!route.beginLookUp(now: 402_100))
        #expect(route.beginLookUp(now: 403_000))
    }

    /// The HELLO of 100 s has no answer, and at 102 s the name has other addresses.
    private func moved(to addresses: String...) -> Route {
        let route = connected(self.route("a"), at: "a")
        _ = route.hello(now: 100_000)
        _ = route.hello(now: 102_000)
        #expect(route.beginLookUp(now: 102_000))
        route.found(addresses, now: 102_000)
        return route
    }

    @Test func aServerThatMovedIsTriedAtOnceAndAgain() {
        let route = moved(to: "b")
        #expect(route.goes(102_000...102_000) == ["b 102000"])
        #expect(route.accepted == ["a", "b"])
        // It may be there a little later than its name says.
        #expect(route.beginLookUp(now: 132_000))
        route.found(["b"], now: 132_000)
        #expect(route.goes(132_000...132_000) == ["b 132000"])
        route.took(8, from: "b", held: [8, 7])
        #expect(route.address(ofSession: 8) == "b")
        // It was silent at the old one: it may be the same server.
        #expect(route.address(ofSession: 7) == "b")
        #expect(route.accepted == ["b"])
        #expect(route.hello(now: 200_000) == "b")
    }

    @Test func anOldAddressIsNotTriedAgain() {
        let route = moved(to: "b", "c")
        #expect(route.goes(102_000...103_000) == ["b 102000", "c 102250"])
        #expect(route.hello(now: 106_000) == "b")
        #expect(route.goes(106_000...107_000) == ["c 106250"])
    }

    @Test func whatDrainsGoesWhereItIs() {
        let route = connected(self.route("a"), at: "a")
        #expect(route.beginLookUp(now: 300_000))
        route.found(["b"], now: 300_000)
        #expect(route.hello(now: 310_000) == "b")
        route.took(8, from: "b", held: [8, 7])
        #expect(route.address(ofSession: 7) == "a")
        #expect(route.address(ofSession: 8) == "b")
        #expect(route.accepted == ["a", "b"])
    }

    @Test func whatWasAtASilentAddressGoesToTheOther() {
        let route = connected(self.route("a", "b"), at: "a")
        _ = route.hello(now: 40_000)
        #expect(route.goes(40_000...40_250) == ["b 40250"])
        route.took(8, from: "b", held: [8, 7])
        #expect(route.address(ofSession: 7) == "b")
    }

    @Test func aChallengeIsAnsweredWhereItCameFrom() {
        let route = self.route("a", "b", "c")
        _ = route.hello(now: 0)
        #expect(route.goes(0...250) == ["b 250"])
        route.took(0, from: "b", held: [], isShakingHands: true)
        #expect(route.next(now: 500) == nil)
        #expect(route.hello([2], now: 510) == "b")
        #expect(route.next(now: 5000) == nil)
        // Unanswered it goes to the others, too.
        #expect(route.hello([2], now: 2500) == "a")
        #expect(route.goes(2500...4000) == ["b 2750", "c 3000"])
    }

    @Test func nothingIsTriedOnceTheEngineWantsNoAnswer() {
        let route = self.route("a", "b")
        _ = route.hello(now: 0)
        route.helloEnded()
        #expect(route.next(now: 1000) == nil)
    }
}
