import LibC
import Ouroboros
import OuroborosStore
import Testing

@testable import OuroborosGateway

@Suite struct ActivityCountTests {
    private final class Store: ActivityStore {
        let refusals = Locked(1)
        let counted = Locked<[DeviceID: DeviceActivity]>([:])
        /// What happens while it is asked.
        let meanwhile = Locked<(@Sendable () -> Void)?>(nil)

        func count(_ activities: [DeviceID: DeviceActivity], at time: Int64) throws {
            meanwhile.withLock { $0?() }
            try refusals.withLock { refusals in
                guard refusals == 0 else {
                    refusals -= 1
                    throw OuroborosError(.busy, "not now")
                }
            }
            counted.withLock { $0 = activities }
        }
    }

    @Test func whatCouldNotBeWrittenIsWrittenWithWhatComesAfterIt() async throws {
        let store = Store()
        let activity = ActivityCount(store)
        let (first, second) = (DeviceID(number: 1), DeviceID(number: 2))
        activity.add(sessionOf: first, from: "192.0.2.1:1")
        store.meanwhile.withLock { $0 = { activity.add(sessionOf: first, from: "192.0.2.1:2") } }
        await #expect(throws: OuroborosError.self) { try await activity.write() }
        store.meanwhile.withLock { $0 = nil }
        activity.add(sessionOf: second, from: nil)
        try await activity.write()
        let counted = store.counted.withLock(\.self)
        #expect(counted[first]?.sessions == 2)
        #expect(counted[first]?.address == "192.0.2.1:2")
        #expect(counted[second]?.sessions == 1)
        #expect(counted[second]?.sessionAt ?? 0 > 0)
        // Once.
        try await activity.write()
        #expect(store.counted.withLock(\.self).isEmpty)
    }
}
