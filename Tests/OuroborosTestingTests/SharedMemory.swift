import LibC
import Ouroboros

/// A device that gateways share, in memory: what a database would do, with a switch, and a gate before its answers.
final class SharedMemory: SharedDeviceRegistry {
    struct Away: Error {}
    enum Step { case question, move }

    private struct State {
        var device: Credential?
        var generation: UInt64 = 0
        var isAway = false
        var isDeaf = false
        var readers: [AsyncStream<RegistryNotice>.Continuation] = []
        var questions = 0
        var held: Step?
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    private let state: Locked<State>

    init(_ credential: Credential) {
        state = Locked(State(device: credential))
    }

    var epoch: UInt64? { state.withLock { $0.device?.epoch } }
    var generation: UInt64 {
        get { state.withLock(\.generation) }
        set { state.withLock { $0.generation = newValue } }
    }

    /// Those that were answered.
    var questions: Int { state.withLock(\.questions) }
    var waiting: Int { state.withLock(\.waiting.count) }

    func setAway(_ isAway: Bool) {
        state.withLock { $0.isAway = isAway }
    }

    /// Nobody hears what is told.
    func setDeaf(_ isDeaf: Bool) {
        state.withLock { $0.isDeaf = isDeaf }
    }

    /// From now on these steps wait.
    func hold(_ step: Step) {
        state.withLock { $0.held = step }
    }

    func release() {
        let waiting = state.withLock { state in
            state.held = nil
            defer { state.waiting = [] }
            return state.waiting
        }
        for step in waiting { step.resume() }
    }

    func remove(_ device: DeviceID) {
        state.withLock { $0.device = nil }
        tell(.changed(device))
    }

    private func pass(_ step: Step) async {
        await Task.yield()
        await withCheckedContinuation { passed in
            let isHeld = state.withLock { state in
                guard state.held == step else { return false }
                state.waiting.append(passed)
                return true
            }
            if !isHeld { passed.resume() }
        }
    }

    func device(_ id: DeviceID) async throws -> SharedDevice {
        await pass(.question)
        return try state.withLock { state in
            state.questions += 1
            if state.isAway { throw Away() }
            return SharedDevice(
                credential: state.device?.deviceID == id ? state.device : nil, generation: state.generation)
        }
    }

    func advance(to credential: Credential, from epoch: UInt64) async throws {
        await pass(.move)
        try state.withLock { state in
            guard !state.isAway, state.device?.epoch == epoch else { throw Away() }
            state.device = credential
        }
    }

    func confirm(_ device: DeviceID, from generation: UInt64) async throws -> Bool {
        await pass(.move)
        return try state.withLock { state in
            if state.isAway { throw Away() }
            guard state.generation == generation else { return false }
            state.generation += 1
            return true
        }
    }

    func raise(_ device: DeviceID, to generation: UInt64) async throws {
        try state.withLock { state in
            if state.isAway { throw Away() }
            state.generation = max(state.generation, generation)
        }
    }

    func announce(_ session: ConfirmedSession) {
        tell(.confirmed(session))
    }

    func tell(_ notice: RegistryNotice) {
        for reader in state.withLock({ $0.isDeaf ? [] : $0.readers }) { reader.yield(notice) }
    }

    func notices() -> AsyncStream<RegistryNotice> {
        let (stream, reader) = AsyncStream.makeStream(of: RegistryNotice.self)
        state.withLock { $0.readers.append(reader) }
        return stream
    }
}

/// A device's memory.
final class Memory: CredentialStore {
    private let last: Locked<Credential>

    init(_ credential: Credential) { last = Locked(credential) }
    func save(_ credential: Credential) throws { last.withLock { $0 = credential } }
    var credential: Credential { last.withLock { $0 } }
}
