import ArgumentParser
import Ouroboros
import OuroborosGateway
import OuroborosStore
import OuroborosText

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
        if let registry { return tellingUnreadable(try SharedRegistry(registry, nil).devices) }
        return tellingUnreadable(try GatewayStore.open(store ?? ""))
    }

    /// One that is there, whose keys can be read.
    func open(_ encryption: KeyEncryptionOptions) throws -> any DeviceStore {
        if let registry {
            return tellingUnreadable(try SharedRegistry(registry, encryption.key()).devicesWithKeys())
        }
        return tellingUnreadable(try GatewayStore.open(store ?? "", sealedUnder: encryption.key()))
    }

    /// One that is there, or a new one.
    func make(_ encryption: KeyEncryptionOptions) throws -> any DeviceStore {
        if let registry { return try SharedRegistry(registry, encryption.key()).devicesWithKeys() }
        return try Self.make(store ?? "", encryption)
    }

    private static func make(_ path: String, _ encryption: KeyEncryptionOptions) throws -> GatewayStore {
        let isNew = !PrivateFile.exists(path)
        let store = try GatewayStore(path: path, keyEncryptionKey: try encryption.key())
        try store.requireKeys()
        if isNew, !store.isSealed {
            Output.note(
                "ouroboros: the keys in “\(path)” are not sealed: who can read the file has them (see --kek-file)"
            )
        }
        return store
    }
}

/// Of a store or spool the rows that cannot be read are told.
func tellingUnreadable<Store>(_ store: Store) -> Store {
    (store as? any ReadsRows)?.unreadable.tell { Output.note("ouroboros: \($0)") }
    return store
}
