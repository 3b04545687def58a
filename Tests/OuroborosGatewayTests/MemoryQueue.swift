import LibC
import Ouroboros
import OuroborosStore

/// Messages to devices in memory, and how often it was asked for what.
final class MemoryQueue: DownlinkStore {
    struct Asked: Equatable {
        var lists = 0
        var takes: [DeviceID] = []
        var expiries = 0
        var refused = 0
    }

    private struct State {
        var entries: [Int64: DownlinkEntry] = [:]
        var asked = Asked()
        var refuses = false
    }

    private let state = Locked(State())

    var isShared: Bool { false }
    var asked: Asked { state.withLock(\.asked) }

    /// While it refuses the queue is away.
    func refuse(_ refuses: Bool) {
        state.withLock { $0.refuses = refuses }
    }

    private func use<Value: Sendable>(_ body: (inout State) throws -> Value) throws -> Value {
        try state.withLock { state in
            guard !state.refuses else {
                state.asked.refused += 1
                throw OuroborosError(.busy, "not now")
            }
            return try body(&state)
        }
    }

    private static func set(
        _ id: Int64, _ from: Set<DownlinkState>, _ to: DownlinkState, _ reason: String?, _ state: inout State
    ) throws -> Bool {
        guard let old = state.entries[id], from.contains(old.state) else { return false }
        state.entries[id] = DownlinkEntry(
            id: id, device: old.device, queuedAt: old.queuedAt, expiresAt: old.expiresAt, state: to,
            reason: reason, payload: to.isFinal ? [] : old.payload)
        return true
    }

    func add(
        _ payload: [UInt8], for device: DeviceID, expiresAt: Int64, now: Int64
    ) throws -> DownlinkEntry {
        try use { state in
            let id = Int64(state.entries.count + 1)
            let entry = DownlinkEntry(
                id: id, device: device, queuedAt: now, expiresAt: expiresAt, state: .queued, reason: nil,
                payload: payload)
            state.entries[id] = entry
            return entry
        }
    }

    func waitingDevices() throws -> Set<DeviceID> {
        try use { state in
            state.asked.lists += 1
            return Set(state.entries.values.filter { $0.state == .queued }.map(\.device))
        }
    }

    func take(for device: DeviceID, limit: Int, now: Int64) throws -> [DownlinkEntry] {
        try use { state in
            state.asked.takes.append(device)
            let due = state.entries.values.filter {
                $0.device == device && $0.state == .queued && $0.expiresAt > now
            }.sorted { $0.id < $1.id }.prefix(limit)
            for entry in due { _ = try Self.set(entry.id, [.queued], .sending, nil, &state) }
            return Array(due)
        }
    }

    func giveBack(_ id: Int64) throws {
        _ = try use { try Self.set(id, [.sending], .queued, nil, &$0) }
    }

    func finish(_ id: Int64, as outcome: DownlinkState, reason: String?, now: Int64) throws -> Bool {
        try use { try Self.set(id, [.queued, .sending], outcome, reason, &$0) }
    }

    func expire(now: Int64) throws -> [Int64: DownlinkState] {
        try use { state in
            state.asked.expiries += 1
            var fates: [Int64: DownlinkState] = [:]
            for entry in state.entries.values where entry.state == .queued && entry.expiresAt <= now {
                _ = try Self.set(entry.id, [.queued], .failed, "too old", &state)
                fates[entry.id] = .failed
            }
            return fates
        }
    }

    func firstExpiry() throws -> Int64? {
        try use { $0.entries.values.filter { $0.state == .queued }.map(\.expiresAt).min() }
    }

    func entry(_ id: Int64) throws -> DownlinkEntry? { try use { $0.entries[id] } }

    func pending(among ids: [Int64]) throws -> Set<Int64> {
        try use { state in Set(ids.filter { state.entries[$0].map { !$0.state.isFinal } ?? false }) }
    }

    func load() throws -> SpoolLoad { SpoolLoad(messages: 0, bytes: 0) }
    func notices() -> AsyncStream<DownlinkNotice> { AsyncStream { $0.finish() } }
}
