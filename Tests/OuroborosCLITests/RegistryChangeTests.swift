import Foundation
import Ouroboros
import OuroborosStore
import TestSupport
import Testing

@testable import OuroborosPostgres

/// What is changed of devices that gateways share.
@Suite(.timeLimit(.minutes(6)), .serialized) struct RegistryChangeTests {
    private static let kek = SecretKey.random()
    private static let device = DeviceID(number: 7)
    private static let credential = Credential.evolving(device: device, epoch: 3, key: .random())

    private static func store(_ cluster: PostgresCluster) throws -> PostgresStore {
        try PostgresStore(try cluster.location, keyEncryptionKey: kek)
    }

    @Test func aDeviceIsRenamedTaggedAndDisabled() async throws {
        try await PostgresCluster.with { cluster in
            let store = try Self.store(cluster)
            let added = StoredDevice(
                credential: Self.credential, name: "kitchen", addedAt: 5, tags: ["b", "a"], isDisabled: true)
            try store.add([added])
            let registry = PostgresRegistry(store)
            #expect(try await registry.device(Self.device).credential == nil)
            #expect(try await registry.device(Self.device).isDisabled)
            let fleet = SharedFleetRegistry(fleetKey: .random(), others: registry)
            #expect(try await fleet.credential(of: Self.device) == nil)
            #expect(try await fleet.credential(of: DeviceID(number: 8)) != nil)

            var notices = PostgresRegistry(store).notices().makeAsyncIterator()
            #expect(await notices.next() == .missed)
            #expect(try store.change(Self.device, .isDisabled(false)))
            #expect(await notices.next() == .changed(Self.device))
            #expect(try await registry.device(Self.device).credential == Self.credential)
            #expect(try store.change(Self.device, .name("cellar")))
            #expect(try store.change(Self.device, .tags(adding: ["c"], removing: ["a"])))
            #expect(try !store.change(DeviceID(number: 8), .name("x")))
            var activity = DeviceActivity()
            activity.sessionAt = 1000
            activity.address = "192.0.2.7:1"
            try await store.count([Self.device: activity], at: 1001)
            try await store.count([Self.device: DeviceActivity()], at: 1002)
            let record = try #require(try store.record(of: Self.device))
            #expect(record.name == "cellar")
            #expect(record.tags == ["b", "c"])
            #expect(!record.isDisabled)
            #expect(record.sessionAt == 1000)
            #expect(record.address == "192.0.2.7:1")
            #expect(try store.devices(nil).map(\.tags) == [["b", "c"]])
        }
    }

    /// As version 5 of the schema had it.
    @Test func aRegistryOfBeforeIsBroughtUpToDate() async throws {
        try await PostgresCluster.with { cluster in
            let older = try Self.store(cluster)
            try older.add([StoredDevice(credential: Self.credential, name: "old", addedAt: 5)])
            try await older.database.run { connection in
                _ = try connection.query(
                    """
                    ALTER TABLE ouroboros.device DROP COLUMN session_at, DROP COLUMN address,
                        DROP COLUMN tags, DROP COLUMN disabled
                    """)
                _ = try connection.query("UPDATE ouroboros.version SET number = 5")
            }
            let store = try Self.store(cluster)
            let record = try #require(try store.record(of: Self.device))
            #expect(record.name == "old")
            #expect(record.tags == [])
            #expect(!record.isDisabled)
            #expect(try await PostgresRegistry(store).device(Self.device).credential == Self.credential)
        }
    }

    @Test func manyAreAddedAtOnce() async throws {
        try await PostgresCluster.with { cluster in
            let devices = (1...10_000).map { number in
                StoredDevice(
                    credential: .evolving(device: DeviceID(number: UInt64(number)), key: .random()),
                    name: "\(number)", addedAt: 5)
            }
            let store = try Self.store(cluster)
            try store.add(devices)
            #expect(try store.list().count == devices.count)
            #expect(throws: OuroborosError.self) {
                try store.add([
                    StoredDevice(credential: Self.credential, name: "", addedAt: 5)
                ])
            }
        }
    }
}
