import Logging
import Ouroboros
import OuroborosStore

#if Postgres
import OuroborosPostgres
#endif

/// A registry that gateways share, if this program was built with PostgreSQL.
package struct SharedRegistry: Sendable {
    #if Postgres
    private let store: PostgresStore

    package init(_ url: String, _ key: SecretKey?, logger: Logger? = nil) throws {
        store = try PostgresStore(try PostgresLocation(url), keyEncryptionKey: key, logger: logger)
    }

    package var devices: any DeviceStore { store }
    var directory: any DeviceDirectory { store }
    var activity: any ActivityStore { store }
    package var messages: any SinkStore { PostgresMessages(store) }
    var isUp: Bool { store.isUp }
    var failures: UInt64 { store.failures }

    func registry(_ logger: Logger) -> any SharedDeviceRegistry { PostgresRegistry(store, logger: logger) }
    func check() async throws { try await store.check() }

    func downlink(
        gateway: UInt8, _ limits: DownlinkLimits, now: Int64, logger: Logger
    ) async throws -> any DownlinkStore {
        try await PostgresDownlink(store, gateway: gateway, limits: limits, now: now, logger: logger)
    }
    #else
    package let devices: any DeviceStore
    let directory: any DeviceDirectory
    let activity: any ActivityStore
    package let messages: any SinkStore
    let isUp: Bool
    let failures: UInt64
    private let shared: any SharedDeviceRegistry
    private let queue: any DownlinkStore

    package init(_ url: String, _ key: SecretKey?, logger: Logger? = nil) throws {
        throw OuroborosError(
            .invalidConfiguration, "this program was built without PostgreSQL (the package's trait Postgres)")
    }

    func registry(_ logger: Logger) -> any SharedDeviceRegistry { shared }
    func check() async throws {}

    func downlink(
        gateway: UInt8, _ limits: DownlinkLimits, now: Int64, logger: Logger
    ) async throws -> any DownlinkStore {
        queue
    }
    #endif

    package func devicesWithKeys() throws -> any DeviceStore {
        let devices = devices
        try devices.requireKeys()
        return devices
    }
}
