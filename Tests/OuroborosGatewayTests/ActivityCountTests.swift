import LibC
import Ouroboros
import OuroborosStore
import Testing

@testable import OuroborosGateway

@Suite struct ActivityCountTests {
    private final class Store: ActivityStore {
        let refusals = Locked(1)
        let counted = Locked<[DeviceID: DeviceActivity]>([:])

        func count(_ activities: [DeviceID: DeviceActivity], at time: Int64) throws {
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
        activity.add(sessionOf: first)
        await #expect(throws: OuroborosError.self) { try await activity.write() }
        activity.add(sessionOf: first)
        activity.add(sessionOf: second)
        try await activity.write()
        let counted = store.counted.withLock(\.self)
        #expect(counted[first]?.sessions == 2)
        #expect(counted[second]?.sessions == 1)
        // Once.
        try await activity.write()
        #expect(store.counted.withLock(\.self).isEmpty)
    }
}
