import HTTPTypes
import LibC
import Testing

@testable import OuroborosPage

/// What is made for one who looks is made for all, and nothing is made for nobody.
@Suite(.timeLimit(.minutes(1))) struct SharingTests {
    @Test func howeverManyLookTheDevicesAreSortedOnce() async throws {
        let facts = Facts((1...10_000).map { device($0, name: "name \($0 * 7919 % 10_007)") })
        let page = try Page(facts) { $0.period = .seconds(600) }
        for number in 1...20 { _ = try await page.text("/?page=\(number)") }
        for state in ["online", "offline"] { _ = try await page.text("/?state=\(state)&find=1") }
        let orders = try await page.feed.current().orders
        #expect(orders.count == 1)
        _ = try await page.text("/?order=desc")
        _ = try await page.text("/?sort=epoch")
        #expect(orders.count == 3)
        #expect(facts.asked == 1)
    }

    @Test func whatDidNotChangeIsInOrderAlready() async throws {
        let facts = Facts([device(2), device(1)])
        let page = try Page(facts) { $0.period = .zero }
        _ = try await page.text("/")
        let before = try await page.feed.current().orders
        facts.set { $0.messages = 9 }
        #expect(try await page.feed.current().orders === before)
        facts.set(devices: [device(3)])
        #expect(try await page.feed.current().orders !== before)
        #expect(try await page.text("/").contains(device(3).id))
    }

    @Test func thoseWhoListenToTheSameShareIt() async throws {
        let facts = Facts([device(1), device(2)])
        let page = try Page(facts) { $0.period = .seconds(600) }
        let paths = ["/events", "/events?", "/events?page=1", "/events?sort=epoch", "/events"]
        let listeners = try paths.map { try page.ask($0) }
        for listener in listeners { try await listener.wait(for: "event: ") }
        #expect(try await page.feed.current().parts.count == 2)
        page.feed.end()
        for listener in listeners { #expect(try await listener.answer.value.status == .ok) }
    }

    @Test func whileNobodyListensNothingIsAsked() async throws {
        let facts = Facts([device(1)])
        let page = try Page(facts) { $0.period = .milliseconds(1) }
        let feed = Task { await page.feed.run() }
        try await Task.sleep(for: .milliseconds(200))
        #expect(facts.asked == 0 && facts.counted == 0)
        // One who comes wakes it.
        let listener = try page.ask("/events")
        try await listener.wait(for: "event: ")
        facts.set { $0.messages = 77 }
        try await listener.wait(for: " 77 messages in all")
        feed.cancel()
        #expect(try await listener.answer.value.status == .ok)
    }

    @Test func aThingIsMadeOnce() async {
        let work = SharedWork<Int, Int>()
        let made = Made()
        await withTaskGroup(of: Int.self) { group in
            for number in 0..<100 {
                group.addTask {
                    await work.value(for: number % 2) {
                        made.add()
                        await Task.yield()
                        return number % 2
                    }
                }
            }
            for await _ in group {}
        }
        #expect(made.count == 2 && work.count == 2)
    }

    /// Keys may be anybody's choice.
    @Test func whatIsKeptIsBounded() async {
        let work = SharedWork<Int, Int>()
        for number in 0..<1000 {
            #expect(await work.value(for: number) { number } == number)
        }
        #expect(work.count == 64)
    }

    @Test func ratesAreOfWhatCameInASlot() {
        let start = ContinuousClock.now
        var rates = MessageRates(slot: .seconds(2), slots: 3, since: start)
        #expect(rates.values(at: start).isEmpty)
        rates.came(4, at: start + .seconds(1))
        // It counts once it is over.
        #expect(rates.values(at: start + .seconds(1)).isEmpty)
        #expect(rates.values(at: start + .seconds(2)) == [2])
        rates.came(1, at: start + .seconds(5))
        rates.came(1, at: start + .seconds(5.5))
        #expect(rates.values(at: start + .seconds(6)) == [2, 0, 1])
        // What was long ago is not shown, and not kept.
        #expect(rates.values(at: start + .seconds(8)) == [0, 1, 0])
        #expect(rates.values(at: start + .seconds(3600)) == [0, 0, 0])
        for second in 0..<1000 { rates.came(2, at: start + .seconds(10 + second)) }
        #expect(rates.values(at: start + .seconds(1010)) == [2, 2, 2])
    }

    private final class Made: Sendable {
        private let state = Locked(0)

        var count: Int { state.withLock(\.self) }

        func add() {
            state.withLock { $0 += 1 }
        }
    }
}
