/// A server's devices. It is called on the server's event loop, at each handshake, and has to be quick: a
/// registry across a network keeps a copy at hand.
public protocol DeviceRegistry: Sendable {
    /// The device's credential, or nil for a device that is not known.
    func credential(of device: DeviceID) throws -> Credential?

    /// Makes an evolving credential's new epoch durable before it returns; never moves it back.
    func advance(to credential: Credential) throws
}
