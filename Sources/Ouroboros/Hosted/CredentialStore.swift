/// A client's durable memory for an evolving credential.
public protocol CredentialStore: Sendable {
    /// Makes the credential durable before it returns: the engine sends nothing more until then.
    /// It is called on the connection's event loop.
    func save(_ credential: Credential) throws
}
