import Ouroboros
import OuroborosNIO
import OuroborosStore
import Synchronization

/// What the devices did since it was last written to the store.
final class ActivityCount: Sendable {
    private let counts = Mutex<[DeviceID: DeviceActivity]>([:])

    func add(messages: [ReceivedMessage]) {
        counts.withLock { counts in
            for received in messages {
                counts[received.device, default: DeviceActivity()].messages += 1
                counts[received.device, default: DeviceActivity()].bytes += Int64(received.payload.count)
            }
        }
    }

    func add(sessionOf device: DeviceID) {
        counts.withLock { $0[device, default: DeviceActivity()].sessions += 1 }
    }

    func write(to store: GatewayStore?) throws {
        let new = counts.withLock { counts in
            defer { counts = [:] }
            return counts
        }
        try store?.count(new, at: WallClock.milliseconds() / 1000)
    }
}
