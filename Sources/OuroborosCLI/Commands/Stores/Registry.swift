import ArgumentParser
import CommandKit
import Logging
import Ouroboros
import OuroborosNIO
import OuroborosStore

#if Postgres
import OuroborosPostgres
#endif

/// Where a command finds the devices: an SQLite file or, with `--registry`, a database that gateways share.
struct StoreOption: ParsableArguments {
    @Option(help: "The gateway's store, an SQLite file.")
    var store: String?

    @Option(help: "In its place: the gateways' PostgreSQL database, postgres://USER@HOST/DATABASE.")
    var registry: String?

    func validate() throws {
        guard (store == nil) != (registry == nil) else {
            throw ValidationError("give --store FILE or --registry URL, one of them")
        }
    }

    /// For messages.
    var name: String { store ?? registry.map { String($0.prefix { $0 != "?" }) } ?? "" }

    /// One that is there; its keys are not asked for.
    func open() throws -> any DeviceStore {
        if let registry { return try SharedRegistry(registry, nil).devices }
        return try openStore(store ?? "")
    }

    /// One that is there, whose keys can be read.
    func open(_ encryption: KeyEncryptionOptions) throws -> any DeviceStore {
        if let registry { return try SharedRegistry(registry, encryption.key()).devicesWithKeys() }
        return try openStore(store ?? "", sealedUnder: encryption.key())
    }

    /// One that is there, or a new one.
    func make(_ encryption: KeyEncryptionOptions) throws -> any DeviceStore {
        if let registry { return try SharedRegistry(registry, encryption.key()).devicesWithKeys() }
        return try makeStore(store ?? "", encryption)
    }
}

/// A registry that gateways share, if this program was built with PostgreSQL.
struct SharedRegistry: Sendable {
    #if Postgres
    private let store: PostgresStore

    init(_ url: String, _ key: SecretKey?, logger: Logger? = nil) throws {
        store = try PostgresStore(try PostgresLocation(url), keyEncryptionKey: key, logger: logger)
    }

    var devices: any DeviceStore { store }
    var directory: any DeviceDirectory { store }
    var activity: any ActivityStore { store }
    var messages: any SinkStore { PostgresMessages(store) }
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
    let devices: any DeviceStore
    let directory: any DeviceDirectory
    let activity: any ActivityStore
    let messages: any SinkStore
    let isUp: Bool
    let failures: UInt64
    private let shared: any SharedDeviceRegistry
    private let queue: any DownlinkStore

    init(_ url: String, _ key: SecretKey?, logger: Logger? = nil) throws {
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

    func devicesWithKeys() throws -> any DeviceStore {
        let devices = devices
        try devices.requireKeys()
        return devices
    }
}
