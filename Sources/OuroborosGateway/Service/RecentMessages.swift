import DequeModule
import LibC
import Ouroboros
import OuroborosNIO
import OuroborosPage

/// The last messages of each device, in memory alone, for those who may see them.
final class RecentMessages: Sendable {
    /// Of a device, messages and bytes of each; with these a device takes up to 3 KB.
    private static let messages = 10
    private static let bytes = 256
    /// One more makes another's go.
    private static let devices = 20_000

    private let entries = Locked<[DeviceID: Deque<PageMessage>]>([:])

    func add(_ messages: [ReceivedMessage], at time: Int64) {
        entries.withLock { entries in
            for received in messages {
                if entries[received.device] == nil, entries.count >= Self.devices {
                    entries.remove(at: entries.startIndex)
                }
                let message = PageMessage(
                    receivedAt: time, size: received.payload.count,
                    beginning: Array(received.payload.prefix(Self.bytes)))
                entries[received.device, default: []].prepend(message)
                if let count = entries[received.device]?.count, count > Self.messages {
                    entries[received.device]?.removeLast()
                }
            }
        }
    }

    /// The newest first.
    func messages(of device: DeviceID) -> [PageMessage] {
        Array(entries.withLock { $0[device] ?? [] })
    }
}
