/// A server's devices where it takes a while to ask: on a disk, or across a network. Nothing waits for it on an event loop:
/// a HELLO that needs it is answered once it has answered.
public protocol AwaitedDeviceRegistry: Sendable {
    /// The device's credential, or nil for a device that is not known.
    func credential(of device: DeviceID) async throws -> Credential?

    /// Makes an evolving credential's new epoch durable before it returns, if the device is at `epoch` still; else
    /// it throws. So of two gateways that move the same device one does, and no epoch goes back.
    func advance(to credential: Credential, from epoch: UInt64) async throws
}

/// The devices of several gateways.
public protocol SharedDeviceRegistry: AwaitedDeviceRegistry {
    /// Tells the other gateways that a device has a session here. It returns at once.
    func announce(_ session: ConfirmedSession)

    /// What happens elsewhere, for one reader.
    func notices() -> AsyncStream<RegistryNotice>
}

/// A device's newest session, and whose it is.
public struct ConfirmedSession: Sendable, Hashable {
    public let device: DeviceID
    public let sessionID: UInt32
    /// The epoch of the device's credential after it.
    public let epoch: UInt64

    public init(device: DeviceID, sessionID: UInt32, epoch: UInt64) {
        self.device = device
        self.sessionID = sessionID
        self.epoch = epoch
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
