import Ouroboros
import OuroborosStore

/// Whose devices a gateway serves, as far as it holds them itself: those of its store, and those of a fleet's key.
struct GatewayDevices: Sendable {
    let store: GatewayStore?
    private let fleetKey: SecretKey?

    init(_ settings: GatewaySettings) throws {
        store = try settings.store.map { try .open($0, sealedUnder: settings.encryption.key()) }
        fleetKey = try settings.fleetKey?.key()
    }

    func registry() throws -> any DeviceRegistry {
        if let fleetKey {
            return FleetRegistry(fleetKey: fleetKey, others: store)
        }
        guard let store else { throw GatewaySettings.nobody }
        return store
    }

    /// With those of a registry that gateways share.
    func registry(and shared: any SharedDeviceRegistry) -> any SharedDeviceRegistry {
        fleetKey.map { SharedFleetRegistry(fleetKey: $0, others: shared) } ?? shared
    }
}
