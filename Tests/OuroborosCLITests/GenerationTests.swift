import InMemoryLogging
import Logging
import Ouroboros
import OuroborosStore
import TestSupport
import Testing

@testable import OuroborosPostgres

/// The numbers of sessions in PostgreSQL.
@Suite(.timeLimit(.minutes(6)), .serialized) struct GenerationTests {
    private static let id = DeviceID(number: 0x0102_0304_0506_0708)
    private static let kek = SecretKey.random()
    private static let device = StoredDevice(
        credential: .fixed(device: id, rootKey: .random()), name: "", addedAt: 1)

    private static func store(_ url: String) throws -> PostgresStore {
        try PostgresStore(try PostgresLocation(url), keyEncryptionKey: kek)
    }

    @Test func ofTwoSessionsOneIsTheNewest() async throws {
        try await PostgresCluster.with { cluster in
            let stores = [try Self.store(cluster.url), try Self.store(cluster.url)]
            let registries = stores.map { PostgresRegistry($0) }
            // Without a row of its own, as a device of a fleet's key.
            #expect(
                try await registries[0].device(Self.id) == SharedDevice(credential: nil, generation: 0))
            for generation in 0..<UInt64(20) {
                if generation == 5 { try stores[0].add([Self.device]) }
                let confirmed = try await withThrowingTaskGroup(of: Bool.self) { group in
                    for number in 0..<8 {
                        group.addTask {
                            try await registries[number % 2].confirm(Self.id, from: generation)
                        }
                    }
                    return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
                }
                #expect(confirmed == 1)
                let known = try await registries[1].device(Self.id)
                #expect(known.generation == generation + 1)
                #expect(known.credential == (generation < 5 ? nil : Self.device.credential))
            }
            for generation in [0, 19, 21] as [UInt64] {
                #expect(try await !registries[0].confirm(Self.id, from: generation))
            }
            for generation in [UInt64(Int64.max), .max] {
                await #expect(throws: OuroborosError.self) {
                    try await registries[0].confirm(Self.id, from: generation)
                }
            }
            // It stays where the device goes, and comes again with another key.
            #expect(try stores[1].remove(Self.id))
            #expect(
                try await registries[0].device(Self.id) == SharedDevice(credential: nil, generation: 20))
        }
    }

    @Test func aGenerationIsRaisedAndNeverLowered() async throws {
        try await PostgresCluster.with { cluster in
            let registry = PostgresRegistry(try Self.store(cluster.url))
            func generation() async throws -> UInt64 { try await registry.device(Self.id).generation }
            try await registry.raise(Self.id, to: 7)
            #expect(try await generation() == 7)
            try await registry.raise(Self.id, to: 3)
            #expect(try await generation() == 7)
            // Of a back-up that knew nothing of the device, and of one that did.
            #expect(try await registry.confirm(Self.id, from: 7))
            try await registry.raise(Self.id, to: 9)
            #expect(try await !registry.confirm(Self.id, from: 8))
            #expect(try await registry.confirm(Self.id, from: 9))
            #expect(try await generation() == 10)
        }
    }

    /// The answer to COMMIT does not come: the row says whose the move was.
    @Test func anAnswerThatIsLostIsAskedForAgain() async throws {
        try await PostgresCluster.with { cluster in
            let front = try await LostAnswer.start(before: cluster)
            let store = try Self.store(front.url)
            let (registry, other) = (PostgresRegistry(store), PostgresRegistry(try Self.store(cluster.url)))
            #expect(try await registry.confirm(Self.id, from: 0))
            front.lose(answerTo: "UPDATE ouroboros.generation")
            #expect(try await registry.confirm(Self.id, from: 1))
            #expect(front.lost == 1)
            #expect(try await other.device(Self.id).generation == 2)
            // An epoch's, too.
            let evolving = DeviceID(number: 2)
            let credential = Credential.evolving(device: evolving, key: .random())
            let next = Credential.evolving(device: evolving, epoch: 1, key: .random())
            try store.add([StoredDevice(credential: credential, name: "", addedAt: 1)])
            front.lose(answerTo: "UPDATE ouroboros.device")
            try await registry.advance(to: next, from: 0)
            #expect(front.lost == 2)
            #expect(try await other.device(evolving).credential == next)
            // While it cannot be asked another session is confirmed: then this one is not the newest.
            front.lose(answerTo: "UPDATE ouroboros.generation", refuses: true)
            async let confirmed = registry.confirm(Self.id, from: 2)
            try await eventually("the answer is lost") { front.lost == 3 }
            #expect(try await other.confirm(Self.id, from: 3))
            front.letIn()
            #expect(try await !confirmed)
            #expect(try await other.device(Self.id).generation == 4)
            try await front.close()
        }
    }

    @Test func anOlderRegistryIsBroughtUpToDate() async throws {
        try await PostgresCluster.with { cluster in
            let older = try Self.store(cluster.url)
            try older.add([Self.device])
            try await older.database.run { connection in
                _ = try connection.query("DROP TABLE ouroboros.generation, ouroboros.dead_letter")
                _ = try connection.query("UPDATE ouroboros.version SET number = 3")
            }
            let registry = PostgresRegistry(try Self.store(cluster.url))
            let known = SharedDevice(credential: Self.device.credential, generation: 0)
            #expect(try await registry.device(Self.id) == known)
            #expect(try await registry.confirm(Self.id, from: 0))
        }
    }

    /// Whoever may write to the database may write anything.
    @Test func aGenerationThatIsNoneIsAnError() async throws {
        try await PostgresCluster.with { cluster in
            let store = try Self.store(cluster.url)
            try await store.database.run { connection in
                _ = try connection.query(
                    "ALTER TABLE ouroboros.generation DROP CONSTRAINT generation_number_check")
                _ = try connection.query(
                    "INSERT INTO ouroboros.generation VALUES ($1, -1)", [Self.id.value])
            }
            let error = await #expect(throws: OuroborosError.self) {
                try await PostgresRegistry(store).device(Self.id)
            }
            #expect(error?.code == .storage)
        }
    }

    @Test func whoLosesNoticesHearsThatSomeWereMissed() async throws {
        try await PostgresCluster.with { cluster in
            let store = try Self.store(cluster.url)
            let log = InMemoryLogHandler()
            let notices = PostgresRegistry(store, logger: Logger(label: "") { _ in log }).notices()
            var reader = notices.makeAsyncIterator()
            #expect(await reader.next() == .missed)
            let many = (0..<70_000).map { RegistryMessage.changed(DeviceID(number: $0)) }
            try await store.database.run { try RegistryMessage.send(many, on: $0) }
            try await eventually("a notice is lost") {
                log.entries.contains { "\($0.message)".contains("notices") }
            }
            let heard = try await bounded("it hears that some were missed", by: .seconds(60)) {
                var reader = notices.makeAsyncIterator()
                var heard = 0
                while let notice = await reader.next(), notice != .missed { heard += 1 }
                return heard
            }
            #expect(heard > 60_000 && heard < 70_000)
        }
    }
}
