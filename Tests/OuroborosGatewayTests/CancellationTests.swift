import LibC
import Ouroboros
import OuroborosStore
import TestSupport
import Testing

@testable import OuroborosDownlink
@testable import OuroborosGateway

/// A task that is cancelled goes on at once, wherever it waits.
@Suite(.timeLimit(.minutes(1))) struct CancellationTests {
    /// A database that hangs.
    private struct Directory: DeviceDirectory {
        let hang: Hang
        let thread = OwnThread()

        func records(of devices: Set<DeviceID>?) async throws -> [DeviceRecord] {
            try await thread.run { hang.wait() }
            return []
        }
    }

    @Test func whoAsksADatabaseThatHangs() async throws {
        let hang = Hang()
        defer { hang.end() }
        let known = KnownDevices(Directory(hang: hang))
        let outcome = try await cancelled("the list of devices", once: { hang.hasBegun }) {
            await known.listing(atMost: .zero).isCurrent
        }
        #expect(try !outcome.get())
        // Others wait for a second, all for the same answer.
        let isCurrent = try await bounded("a list", by: .seconds(30)) {
            await known.listing(atMost: .zero).isCurrent
        }
        #expect(!isCurrent)
        hang.end()
        try await eventually("the list is read") { await known.listing(atMost: .seconds(60)).isCurrent }
    }

    @Test func whoWaitsForTheFateOfAMessage() async throws {
        let waiters = OutcomeWaiters()
        let outcome = try await cancelled("an outcome", once: { waiters.messages == [7] }) {
            await waiters.wait(for: 7, within: .seconds(600)) { false }
        }
        try outcome.get()
        #expect(waiters.messages == [])
    }

    @Test func whoHasATimeLimit() async throws {
        #expect(try await within(.milliseconds(50)) { await untilCancelled() } == nil)
        #expect(try await within(.seconds(600)) { 7 } == 7)
        let isThere = Flag()
        let outcome = try await cancelled("a limit", once: { isThere.isSet }) {
            try await within(.seconds(600)) {
                isThere.set()
                await untilCancelled()
            }
        }
        // Whichever of the two ends first.
        if case .failure(let error) = outcome { #expect(error is CancellationError) }
    }

    /// A file that another process holds: reading goes on, and writing waits, but for no one who does not.
    @Test func aStoreThatIsHeld() async throws {
        let scratch = try Scratch()
        let spool = AwaitedSpool(try Spool(path: scratch.file("spool")))
        let lock = try HeldLock(scratch.file("spool"))
        let first = Task { try await spool.remove(through: 0) }
        let isThere = Flag()
        let queued = try await cancelled("a write in the queue", once: { isThere.isSet }) {
            // The first one has begun.
            try await Task.sleep(for: .milliseconds(200))
            isThere.set()
            return try await spool.remove(through: 0)
        }
        #expect(throws: (any Error).self) { try queued.get() }
        #expect(try await spool.lastID() == 0)
        try lock.release()
        _ = await first.result
    }
}
