import TestSupport
import Testing

@testable import OuroborosNIO

/// What waits between event loops and tasks, cancelled: no waiter is left that would take what comes for others.
@Suite(.timeLimit(.minutes(1))) struct WaitTests {
    @Test func aQueueOfMessages() async throws {
        let inbox = Inbox<Int>()
        let isThere = Flag()
        let outcome = try await cancelled("a reader", once: { isThere.isSet }) {
            isThere.set()
            return await inbox.next()
        }
        #expect(try outcome.get() == nil)
        inbox.append(1)
        #expect(await inbox.next() == 1)
    }

    @Test func aServersQueue() async throws {
        let inbox = ServerInbox()
        let isThere = Flag()
        let outcome = try await cancelled("the reader", once: { isThere.isSet }) {
            isThere.set()
            return await inbox.next()?.count
        }
        #expect(try outcome.get() == nil)
        // It is not in the way of the next one.
        let hasRead = Flag()
        let next = Task {
            defer { hasRead.set() }
            return await inbox.next()?.count
        }
        try await eventually("the next reader reads") {
            inbox.append([])
            return hasRead.isSet
        }
        #expect(await next.value == 0)
    }
}
