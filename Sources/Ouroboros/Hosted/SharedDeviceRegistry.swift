/// A server's devices where it takes a while to ask: on a disk, or across a network. Nothing waits for it on an event loop:
/// a HELLO that needs it is answered once it has answered.
public protocol AwaitedDeviceRegistry: Sendable {
    /// The device's credential, or nil for a device that is not known.
    func credential(of device: DeviceID) async throws -> Credential?

    /// True for a device that is known and is not to be served: it has no credential here, and nobody else is asked for one.
    func isDisabled(_ device: DeviceID) async throws -> Bool

    /// Makes an evolving credential's new epoch durable before it returns, if the device is at `epoch` still; else
    /// it throws. So of two gateways that move the same device one does, and no epoch goes back.
    func advance(to credential: Credential, from epoch: UInt64) async throws
}

extension AwaitedDeviceRegistry {
    public func isDisabled(_ device: DeviceID) async throws -> Bool { false }
}

/// The devices of several gateways.
///
/// Each confirmed session of a device has the next number, which says whose is the newest: of an evolving credential the
/// epoch, of a fixed one the generation.
public protocol SharedDeviceRegistry: AwaitedDeviceRegistry {
    /// The device as it is now, also where it is not known.
    func device(_ id: DeviceID) async throws -> SharedDevice

    /// Makes the generation after `generation` durable before it returns, if the device, whose credential is fixed, is
    /// at `generation` still; else it returns false. So of two sessions one is the newest.
    func confirm(_ device: DeviceID, from generation: UInt64) async throws -> Bool

    /// Raises a generation that is lower, as after a restore.
    func raise(_ device: DeviceID, to generation: UInt64) async throws

    /// Tells the other gateways that a device has a session here. It returns at once.
    func announce(_ session: ConfirmedSession)

    /// What happens elsewhere, for one reader.
    func notices() -> AsyncStream<RegistryNotice>
}

extension SharedDeviceRegistry {
    public func credential(of device: DeviceID) async throws -> Credential? {
        try await self.device(device).credential
    }

    public func isDisabled(_ device: DeviceID) async throws -> Bool {
        try await self.device(device).isDisabled
    }
}

/// A device in a registry that gateways share.
public struct SharedDevice: Sendable, Equatable {
    /// Nil for a device that is not known.
    public let credential: Credential?
    /// How many sessions of a fixed credential were confirmed, at all gateways.
    public let generation: UInt64
    /// It is known, and is not to be served: it has no credential, and nobody else is asked for one.
    public let isDisabled: Bool

    public init(credential: Credential?, generation: UInt64, isDisabled: Bool = false) {
        self.credential = credential
        self.generation = generation
        self.isDisabled = isDisabled
    }

    /// That of the device's newest session.
    public var number: UInt64 {
        if let credential, credential.kind == .evolving { credential.epoch } else { generation }
    }
}

/// A device's newest session, and whose it is.
public struct ConfirmedSession: Sendable, Hashable {
    public let device: DeviceID
    public let sessionID: UInt32
    /// The epoch of the device's credential after it, or its generation.
    public let number: UInt64

    public init(device: DeviceID, sessionID: UInt32, number: UInt64) {
        self.device = device
        self.sessionID = sessionID
        self.number = number
    }
}

public enum RegistryNotice: Sendable, Hashable {
    /// A gateway has a new session of a device: older ones drain.
    case confirmed(ConfirmedSession)
    /// A device was removed, or has another key.
    case changed(DeviceID)
    /// Notices may have been missed: what is held is to be compared with the registry.
    case missed
}
