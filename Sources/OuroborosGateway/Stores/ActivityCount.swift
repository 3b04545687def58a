import LibC
import Ouroboros
import OuroborosNIO
import OuroborosStore
import OuroborosText

/// What the devices did since it was last written to the store.
final class ActivityCount: Sendable {
    private let store: (any ActivityStore)?
    private let counts = Locked<[DeviceID: DeviceActivity]>([:])

    /// Without a store nothing is counted.
    init(_ store: (any ActivityStore)?) {
        self.store = store
    }

    func add(messages: [ReceivedMessage]) {
        guard store != nil else { return }
        counts.withLock { counts in
            for received in messages {
                counts[received.device, default: DeviceActivity()].messages += 1
                counts[received.device, default: DeviceActivity()].bytes += Int64(received.payload.count)
            }
        }
    }

    func add(sessionOf device: DeviceID, from address: String?) {
        guard store != nil else { return }
        counts.withLock { counts in
            counts[device, default: DeviceActivity()].sessions += 1
            counts[device, default: DeviceActivity()].sessionAt = WallClock.milliseconds() / 1000
            counts[device, default: DeviceActivity()].address = address
        }
    }

    /// What is not written now is written with what comes after it.
    func write() async throws {
        let new = counts.withLock { counts in
            defer { counts = [:] }
            return counts
        }
        do {
            try await store?.count(new, at: WallClock.milliseconds() / 1000)
        } catch {
            counts.withLock { $0.merge(new) { $0.adding($1) } }
            throw error
        }
    }
}

extension DeviceActivity {
    fileprivate func adding(_ other: DeviceActivity) -> DeviceActivity {
        var sum = self
        sum.sessions += other.sessions
        sum.messages += other.messages
        sum.bytes += other.bytes
        // What was put back is older.
        sum.sessionAt = sum.sessionAt ?? other.sessionAt
        sum.address = sum.address ?? other.address
        return sum
    }
}
