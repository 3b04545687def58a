import LibC
import Ouroboros

/// A queue of messages to devices for those who must not wait on a thread for a disk.
package struct AwaitedQueue: DownlinkStore {
    private let queue: DownlinkQueue
    private let thread = OwnThread()

    package init(_ queue: DownlinkQueue) {
        self.queue = queue
    }

    package var isShared: Bool { queue.isShared }

    package func add(
        _ payload: [UInt8], for device: DeviceID, expiresAt: Int64, now: Int64
    ) async throws -> DownlinkEntry {
        try await thread.run { [queue] in
            try queue.database.health.refuseWhileFailing()
            return try queue.add(payload, for: device, expiresAt: expiresAt, now: now)
        }
    }

    package func waitingDevices() async throws -> Set<DeviceID> {
        try await thread.runUnlessCancelled { [queue] in try queue.waitingDevices() }
    }

    package func take(for device: DeviceID, limit: Int, now: Int64) async throws -> [DownlinkEntry] {
        try await thread.run { [queue] in try queue.take(for: device, limit: limit, now: now) }
    }

    package func giveBack(_ id: Int64) async throws {
        try await thread.run { [queue] in try queue.giveBack(id) }
    }

    package func finish(
        _ id: Int64, as state: DownlinkState, reason: String?, now: Int64
    ) async throws -> Bool {
        try await thread.run { [queue] in try queue.finish(id, as: state, reason: reason, now: now) }
    }

    package func expire(now: Int64) async throws -> [Int64: DownlinkState] {
        try await thread.run { [queue] in try queue.expire(now: now) }
    }

    package func firstExpiry() async throws -> Int64? {
        try await thread.runUnlessCancelled { [queue] in try queue.firstExpiry() }
    }

    package func entry(_ id: Int64) async throws -> DownlinkEntry? {
        try await thread.runUnlessCancelled { [queue] in try queue.entry(id) }
    }

    package func pending(among ids: [Int64]) async throws -> Set<Int64> {
        try await thread.runUnlessCancelled { [queue] in try queue.pending(among: ids) }
    }

    package func load() async throws -> SpoolLoad {
        try await thread.runUnlessCancelled { [queue] in try queue.load() }
    }

    package func notices() -> AsyncStream<DownlinkNotice> { queue.notices() }
}

extension AwaitedQueue: WatchedFile {
    package var path: String { queue.database.path }
    package var unreadable: UnreadableRows { queue.unreadable }
    package var failures: AsyncStream<Void> { queue.database.health.failures }
    package var trouble: OuroborosError? { queue.database.health.trouble ?? [thread].hang(at: path) }
    package var damage: OuroborosError? { queue.database.health.damage }

    package func probe() async throws {
        try await thread.runUnlessCancelled { [queue] in try queue.database.probe() }
    }
}
