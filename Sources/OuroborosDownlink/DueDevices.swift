import LibC
import Ouroboros

/// The devices for which messages wait, and those of them that are due: each is told once.
final class DueDevices: Sendable {
    private struct State {
        var waiting: Set<DeviceID> = []
        /// Those that came while the queue is read.
        var meanwhile: Set<DeviceID>?
        var rung: Set<DeviceID> = []
    }

    private let state = Locked(State())
    private let stream: AsyncStream<DeviceID>
    private let continuation: AsyncStream<DeviceID>.Continuation

    init() {
        // A device stands in it once at most.
        (stream, continuation) = AsyncStream.makeStream(of: DeviceID.self)
    }

    /// Something waits for them.
    func wait(for devices: Set<DeviceID>) {
        state.withLock { state in
            state.waiting.formUnion(devices)
            state.meanwhile?.formUnion(devices)
        }
    }

    /// What the queue tells takes the place of what was known; one reads at a time. Gives those that were not known.
    func update(
        isolation: isolated (any Actor)? = #isolation, _ read: () async throws -> Set<DeviceID>
    ) async throws -> Set<DeviceID> {
        let before = state.withLock { state in
            state.meanwhile = []
            return state.waiting
        }
        defer { state.withLock { $0.meanwhile = nil } }
        let devices = try await read()
        state.withLock { $0.waiting = devices.union($0.meanwhile ?? []) }
        return devices.subtracting(before)
    }

    /// Those for which something waits.
    var waiting: Set<DeviceID> { state.withLock(\.waiting) }

    func waitNoMore(for device: DeviceID) {
        state.withLock { _ = $0.waiting.remove(device) }
    }

    /// Those of them for which something waits are due.
    func ring(_ devices: some Sequence<DeviceID>) {
        for device in devices {
            let isNew = state.withLock { state in
                state.waiting.contains(device) && state.rung.insert(device).inserted
            }
            if isNew {
                continuation.yield(device)
            }
        }
    }

    func finish() {
        continuation.finish()
    }

    /// Those that are due, for one reader.
    var devices: some AsyncSequence<DeviceID, Never> {
        stream.map { [self] device in
            state.withLock { _ = $0.rung.remove(device) }
            return device
        }
    }
}
