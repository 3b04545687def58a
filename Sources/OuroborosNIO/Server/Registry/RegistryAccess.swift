import NIOCore
import Ouroboros

/// Where a server's devices are.
enum RegistrySource: Sendable {
    case local(any DeviceRegistry)
    case awaited(any AwaitedDeviceRegistry)
    case shared(any SharedDeviceRegistry)

    func access(on loop: any EventLoop) -> RegistryAccess {
        switch self {
        case .local(let registry): RegistryAccess(registry, on: loop)
        case .awaited(let registry): RegistryAccess(awaited: registry, on: loop)
        case .shared(let registry): RegistryAccess(shared: registry, on: loop)
        }
    }
}

/// What a registry says of the device of a packet.
enum RegistryAnswer {
    case known(SharedDevice)
    /// Too many questions are under way, or a move of this device is being saved, or was since the question.
    case busy
    case failed(any Error)
}

/// A worker's way to its registry: at once, or awaited with a bounded number of questions under way. It is bound to its
/// loop.
final class RegistryAccess {
    let local: (any DeviceRegistry)?
    let shared: (any SharedDeviceRegistry)?
    private let awaited: (any AwaitedDeviceRegistry)?
    private let loop: any EventLoop
    private(set) var underWay = 0
    /// Devices whose new epoch, or generation, is being made durable.
    private(set) var saving: Set<DeviceID> = []
    /// Hears of each device whose move is saved, or failed.
    var whenSaved: (DeviceID) -> Void = { _ in }
    private var clock: UInt64 = 0
    /// When a device's move was saved: what was asked for before that may be older. Those of this minute and of the
    /// last are kept, as no question takes so long.
    private var saves: [DeviceID: UInt64] = [:]
    private var savesBefore: [DeviceID: UInt64] = [:]

    private let mostUnderWay: Int

    /// Across a network, and on a disk, where answers come sooner.
    private static let mostFarQuestions = 256
    private static let mostNearQuestions = 4096

    init(_ local: any DeviceRegistry, on loop: any EventLoop) {
        self.local = local
        shared = nil
        awaited = nil
        mostUnderWay = 0
        self.loop = loop
    }

    init(awaited: any AwaitedDeviceRegistry, on loop: any EventLoop) {
        local = nil
        shared = nil
        self.awaited = awaited
        mostUnderWay = Self.mostNearQuestions
        self.loop = loop
    }

    init(shared: any SharedDeviceRegistry, on loop: any EventLoop) {
        local = nil
        self.shared = shared
        awaited = shared
        mostUnderWay = Self.mostFarQuestions
        self.loop = loop
    }

    /// Asks for a credential; the answer comes at once or later.
    func credential(of device: DeviceID, _ then: @escaping (RegistryAnswer) -> Void) {
        if let local {
            then(RegistryAnswer(Result { try local.device(device) }))
        } else if !ask(for: device, { then(RegistryAnswer($0)) }) {
            then(.busy)
        }
    }

    /// False when it is not asked. An answer that is older than a save is nil.
    func ask(
        for device: DeviceID, _ then: @escaping (Result<SharedDevice, any Error>?) -> Void
    ) -> Bool {
        guard let awaited, underWay < mostUnderWay, !saving.contains(device) else { return false }
        underWay += 1
        let asked = clock
        let question: @Sendable () async throws -> SharedDevice = { [shared] in
            if let shared { return try await shared.device(device) }
            return .uncounted(try await awaited.credential(of: device))
        }
        onLoop(question) { [self] result in
            underWay -= 1
            let saved = saves[device] ?? savesBefore[device] ?? 0
            then(saving.contains(device) || saved > asked ? nil : result)
        }
        return true
    }

    /// Makes a new epoch durable, if the device is at `epoch` still.
    func save(
        _ credential: Credential, from epoch: UInt64, _ then: @escaping (Result<Void, any Error>) -> Void
    ) {
        if let local {
            then(Result { try local.advance(to: credential) })
            return
        }
        guard let awaited else { return }
        move(credential.deviceID, { try await awaited.advance(to: credential, from: epoch) }, then)
    }

    /// Makes the next generation durable; false if the device is not at this one any more. Of gateways that share a registry.
    func confirm(
        _ device: DeviceID, from generation: UInt64, _ then: @escaping (Result<Bool, any Error>) -> Void
    ) {
        guard let shared else { return }
        move(device, { try await shared.confirm(device, from: generation) }, then)
    }

    func raise(
        _ device: DeviceID, to generation: UInt64, _ then: @escaping (Result<Void, any Error>) -> Void
    ) {
        guard let shared else { return }
        move(device, { try await shared.raise(device, to: generation) }, then)
    }

    private func move<Value: Sendable>(
        _ device: DeviceID, _ work: @escaping @Sendable () async throws -> Value,
        _ then: @escaping (Result<Value, any Error>) -> Void
    ) {
        saving.insert(device)
        onLoop(work) { [self] result in
            saving.remove(device)
            clock += 1
            saves[device] = clock
            then(result)
            whenSaved(device)
        }
    }

    /// Once a minute.
    func forgetSaves() {
        savesBefore = saves
        saves = [:]
    }

    private func onLoop<Value: Sendable>(
        _ work: @escaping @Sendable () async throws -> Value,
        _ then: @escaping (Result<Value, any Error>) -> Void
    ) {
        let answer = NIOLoopBound(then, eventLoop: loop)
        loop.makeFutureWithTask(work).whenComplete { answer.value($0) }
    }
}

extension DeviceRegistry {
    func device(_ id: DeviceID) throws -> SharedDevice { .uncounted(try credential(of: id)) }
}

extension SharedDevice {
    /// Nobody counts the sessions of one gateway's fixed credentials.
    fileprivate static func uncounted(_ credential: Credential?) -> SharedDevice {
        SharedDevice(credential: credential, generation: 0)
    }
}

extension RegistryAnswer {
    fileprivate init(_ result: Result<SharedDevice, any Error>?) {
        switch result {
        case .success(let device)?: self = .known(device)
        case .failure(let error)?: self = .failed(error)
        case nil: self = .busy
        }
    }
}
