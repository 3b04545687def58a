internal import COuroboros

/// What a server keeps of a device between its handshakes.
public final class AcceptedDevice {
    let raw: UnsafeMutablePointer<ouro_device>
    private let acceptor: Acceptor

    public init(_ credential: Credential, acceptor: Acceptor) {
        self.acceptor = acceptor
        raw = .allocate(capacity: 1)
        raw.initialize(to: ouro_device())
        credential.withEngineForm { ouro_device_init(raw, $0) }
    }

    deinit {
        ouro_server_forget(acceptor.raw, raw)
        ouro_erase(raw, MemoryLayout<ouro_device>.size)
        raw.deallocate()
    }

    /// As it stands now: an evolving one moves.
    public var credential: Credential {
        withUnsafeMutablePointer(to: &raw.pointee.credential) { Credential($0) }
    }

    /// Of the credential, without a copy of its key.
    public var epoch: UInt64 { raw.pointee.credential.epoch }

    /// Of a fixed credential, as a registry that gateways share had it when a HELLO was looked up.
    public var generation: UInt64 {
        get { raw.pointee.generation }
        set { raw.pointee.generation = newValue }
    }

    /// Whether the operator is to be told of a ``DropReason/kind`` now: at most once a minute.
    public func tellsKind(now: UInt64) -> Bool { ouro_device_tell_kind(raw, now) }

    public var hasPendingSessions: Bool { raw.pointee.pending != nil }
}
