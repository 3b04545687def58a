import Ouroboros
import OuroborosStore

/// Whose devices a gateway serves, as far as it holds them itself: those of its store, and those of a fleet's key.
struct GatewayDevices: Sendable {
    let store: AwaitedStore?
    private let fleetKey: SecretKey?

    init(_ settings: GatewaySettings) throws {
        store = try settings.store.map { AwaitedStore(try .open($0, sealedUnder: settings.encryption.key())) }
        fleetKey = try settings.fleetKey?.key()
    }

    /// Those of the store; nil without one.
    func registry() -> (any AwaitedDeviceRegistry)? {
        guard let store, let fleetKey else { return store }
        return AwaitedFleetRegistry(fleetKey: fleetKey, others: store)
    }

    /// Those of the fleet's key alone, which need no list.
    func fleet() throws -> FleetRegistry {
        guard let fleetKey else { throw GatewaySettings.nobody }
        return FleetRegistry(fleetKey: fleetKey)
    }

    /// With those of a registry that gateways share.
    func registry(and shared: any SharedDeviceRegistry) -> any SharedDeviceRegistry {
        fleetKey.map { SharedFleetRegistry(fleetKey: $0, others: shared) } ?? shared
    }
}
