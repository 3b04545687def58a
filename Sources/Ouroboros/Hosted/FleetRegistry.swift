/// The devices of a fleet, whose root keys all come from one key: it needs no list. Their credentials are fixed.
public struct FleetRegistry: DeviceRegistry {
    private let fleetKey: SecretKey
    private let others: (any DeviceRegistry)?

    /// Devices that `others` knows are taken from there.
    public init(fleetKey: SecretKey, others: (any DeviceRegistry)? = nil) {
        self.fleetKey = fleetKey
        self.others = others
    }

    public func credential(of device: DeviceID) throws -> Credential? {
        if let credential = try others?.credential(of: device) {
            return credential
        }
        return try .fixed(device: device, fleetKey: fleetKey)
    }

    public func advance(to credential: Credential) throws {
        guard let others else {
            throw OuroborosError(.invalidConfiguration, "the credentials of a fleet do not evolve")
        }
        try others.advance(to: credential)
    }
}

/// The same beside a registry that has to be awaited: devices that it knows are taken from there, so that each HELLO waits
/// for it.
public struct AwaitedFleetRegistry: AwaitedDeviceRegistry {
    private let fleetKey: SecretKey
    private let others: any AwaitedDeviceRegistry

    public init(fleetKey: SecretKey, others: any AwaitedDeviceRegistry) {
        self.fleetKey = fleetKey
        self.others = others
    }

    public func credential(of device: DeviceID) async throws -> Credential? {
        if let credential = try await others.credential(of: device) {
            return credential
        }
        guard try await !others.isDisabled(device) else { return nil }
        return try .fixed(device: device, fleetKey: fleetKey)
    }

    public func advance(to credential: Credential, from epoch: UInt64) async throws {
        try await others.advance(to: credential, from: epoch)
    }
}

/// The same for gateways that share a registry.
public struct SharedFleetRegistry: SharedDeviceRegistry {
    private let fleetKey: SecretKey
    private let others: any SharedDeviceRegistry

    public init(fleetKey: SecretKey, others: any SharedDeviceRegistry) {
        self.fleetKey = fleetKey
        self.others = others
    }

    public func device(_ id: DeviceID) async throws -> SharedDevice {
        let known = try await others.device(id)
        guard known.credential == nil, !known.isDisabled else { return known }
        return SharedDevice(
            credential: try .fixed(device: id, fleetKey: fleetKey), generation: known.generation)
    }

    public func advance(to credential: Credential, from epoch: UInt64) async throws {
        try await others.advance(to: credential, from: epoch)
    }

    public func confirm(_ device: DeviceID, from generation: UInt64) async throws -> Bool {
        try await others.confirm(device, from: generation)
    }

    public func raise(_ device: DeviceID, to generation: UInt64) async throws {
        try await others.raise(device, to: generation)
    }

    public func announce(_ session: ConfirmedSession) {
        others.announce(session)
    }

    public func notices() -> AsyncStream<RegistryNotice> {
        others.notices()
    }
}
