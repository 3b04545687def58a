import Foundation
import LibC
import Ouroboros
import OuroborosStore
import TestSupport
import Testing

@testable import OuroborosPostgres

/// Rows of the database that gateways share, as somebody who may write there could leave them.
@Suite(.serialized, .timeLimit(.minutes(6))) struct HostileRowTests {
    private static let device = DeviceID(number: 1)
    private static let kek = SecretKey.random()

    private final class Told: Sendable {
        private let reasons = Locked<[String]>([])
        var all: [String] { reasons.withLock(\.self) }

        init(_ store: PostgresStore) {
            store.unreadable.tell { [self] reason in reasons.withLock { $0.append(reason) } }
        }
    }

    /// A registry whose tables take anything that their types hold.
    private static func with(
        _ body: @Sendable (PostgresStore, Told, PostgresConnection) async throws -> Void
    ) async throws {
        try await PostgresCluster.with { cluster in
            let store = try PostgresStore(try cluster.location, keyEncryptionKey: kek)
            let connection = try store.database.connect()
            try connection.query(
                """
                DO $$ DECLARE one record; BEGIN
                    FOR one IN SELECT conrelid::regclass AS place, conname FROM pg_constraint
                        WHERE connamespace = 'ouroboros'::regnamespace AND contype = 'c'
                    LOOP EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', one.place, one.conname); END LOOP;
                END $$
                """)
            try await body(store, Told(store), connection)
        }
    }

    private static func storageError(_ parts: String..., body: () async throws -> Void) async {
        let error = await #expect(throws: OuroborosError.self) { try await body() }
        #expect(error?.code == .storage)
        for part in parts {
            #expect(error?.message.contains(part) == true, "\(error?.message ?? "")")
        }
    }

    @Test func devices() async throws {
        try await Self.with { store, told, connection in
            try store.add(
                (1...5).map {
                    StoredDevice(
                        credential: .evolving(device: DeviceID(number: $0), key: .random()), name: "\($0)",
                        addedAt: 1)
                })
            let ids = (1...5).map { DeviceID(number: $0) }
            func change(_ number: Int, _ what: String) throws {
                try connection.query("UPDATE ouroboros.device SET \(what) WHERE id = $1", [ids[number].value])
            }
            try change(0, "epoch = -1")
            try change(1, "kind = 'other'")
            try change(2, "key = 'short'")
            try change(3, "id = 'long enough?', sessions = 9223372036854775807")
            try change(4, "messages = 9223372036854775807, last_seen = -9223372036854775808")

            let registry = PostgresRegistry(store)
            await Self.storageError("“epoch”", "ouroboros.device") { _ = try await registry.device(ids[0]) }
            await Self.storageError("“kind”", "ouroboros.device") { _ = try await registry.device(ids[1]) }
            await Self.storageError { _ = try await registry.device(ids[2]) }
            #expect(try await registry.device(ids[4]).credential != nil)

            #expect(try store.list().map(\.id) == [ids[2], ids[4]])
            #expect(try await store.records(of: nil).map(\.id) == [ids[2], ids[4]])
            #expect(try store.devices(nil).map(\.credential.deviceID) == [ids[4]])
            for part in ["“epoch”", "“kind”", "“key”", "“id”"] {
                #expect(told.all.contains { $0.contains(part) }, "\(told.all)")
            }
            // What is counted of one that cannot be counted keeps the others from nothing.
            var activity = DeviceActivity()
            activity.messages = 3
            try await store.count([ids[2]: activity, ids[4]: activity], at: 7)
            #expect(try store.record(of: ids[2])?.messages == 3)
            #expect(try store.record(of: ids[4])?.lastSeen == 7)
        }
    }

    @Test func generations() async throws {
        try await Self.with { store, _, connection in
            try connection.query("INSERT INTO ouroboros.generation VALUES ($1, -1)", [Self.device.value])
            await Self.storageError("“generation”") {
                _ = try await PostgresRegistry(store).device(Self.device)
            }
        }
    }

    @Test(arguments: ["-1", "-9223372036854775808", "9223372036854775807"])
    func versions(number: String) async throws {
        try await Self.with { store, _, connection in
            try connection.query("UPDATE ouroboros.version SET number = \(number)")
            await Self.storageError {
                _ = try PostgresStore(store.database.location, keyEncryptionKey: nil)
            }
        }
    }

    @Test func sealing() async throws {
        try await Self.with { store, _, connection in
            try connection.query("UPDATE ouroboros.sealing SET salt = '', proof = 'x'")
            #expect(throws: OuroborosError.self) {
                try PostgresStore(store.database.location, keyEncryptionKey: Self.kek)
            }
        }
    }

    @Test func messages() async throws {
        try await Self.with { store, _, connection in
            let spool = PostgresMessages(store)
            let batch = (0..<UInt64(8)).map {
                (Self.device, Message(sessionID: 1, counter: $0, payload: [UInt8($0)]))
            }
            _ = try await spool.store(batch, now: 1)
            let changes = [
                "counter = -1", "session = 4294967296", "box = -5, seq = 1", "box = 1, seq = 4294967296",
                "device = 'short'", "received_at = -9223372036854775808",
            ]
            for (number, change) in changes.enumerated() {
                try connection.query(
                    "UPDATE ouroboros.message SET \(change) WHERE id = $1", [.integer(Int64(number + 1))])
            }
            // One that no gateway gave its number.
            try connection.query(
                """
                INSERT INTO ouroboros.message OVERRIDING SYSTEM VALUE
                SELECT 9223372036854775807, received_at, device, session, counter, box, seq, payload
                FROM ouroboros.message WHERE id = 8
                """)
            let page = try await spool.page(after: 0, limit: 100)
            #expect(page.messages.map(\.id) == [6, 7, 8])
            #expect(page.unreadable.keys.sorted() == [1, 2, 3, 4, 5])
            #expect(page.unreadable[1]?.contains("“counter”") == true)
            #expect(try await spool.messages(after: 0, limit: 2).map(\.id) == [6])
            #expect(try await spool.lastID() == 8)

            // They are set aside, but for what has no device, and are passed over there.
            let claim = try #require(try await spool.claim("http"))
            try await claim.passed(from: 0, through: 8, refused: page.unreadable.merging([7: "400"]) { $1 })
            #expect(try await spool.deadLetterCount(of: "http") == 5)
            #expect(try await spool.deadLetters(after: nil, limit: 1).map(\.message.id) == [7])
            #expect(try await spool.retryDeadLetters(of: nil, id: nil) == 5)
            #expect(try await spool.deadLetters(toRetryAt: "http", limit: 2).map(\.message.id) == [7])
            try connection.query("UPDATE ouroboros.message SET counter = 0 WHERE id = 1")
            #expect(try await spool.page(after: 0, limit: 1).messages.map(\.id) == [1])
        }
    }

    @Test func records() async throws {
        try await Self.with { store, told, connection in
            let spool = PostgresMessages(store)
            func came(_ sequence: UInt32) async throws -> [Bool] {
                let position = OutboxPosition(box: 7, sequence: sequence)
                let message = Message(sessionID: 1, counter: 1, payload: [], position: position)
                return try await spool.store([(Self.device, message)], now: 1)
            }
            #expect(try await came(1) == [true])
            for highest in ["-7", "4294967296", "9223372036854775807"] {
                try connection.query(
                    "UPDATE ouroboros.once_record SET highest = \(highest), used = 9223372036854775807")
                // It may come twice, and is not lost; from then on it is known again.
                #expect(try await came(5) == [true])
                #expect(try await came(5) == [false])
            }
            #expect(told.all.contains { $0.contains("“highest”") }, "\(told.all)")
        }
    }

    @Test func sinks() async throws {
        try await Self.with { store, _, connection in
            let spool = PostgresMessages(store)
            _ = try await spool.store(
                [(Self.device, Message(sessionID: 1, counter: 0, payload: []))], now: 1)
            _ = try await spool.register(sinks: ["http", "mqtt"])
            let most = Int64.max
            try connection.query(
                "UPDATE ouroboros.sink SET position = $1, batch_end = $1 WHERE name = 'http'",
                [.integer(.min)])
            try connection.query(
                "UPDATE ouroboros.sink SET position = $1, batch_end = $1 WHERE name = 'mqtt'",
                [.integer(most)])
            #expect(try await spool.passed(byAll: []) == 0)
            let claim = try #require(try await spool.claim("http"))
            #expect(claim.start.position == 0)
            try await claim.passed(from: 0, through: 1, refused: [:])
            #expect(try await spool.position(of: "http") == 1)
            #expect(try await spool.position(of: "mqtt") == most)
        }
    }

    @Test func messagesToDevices() async throws {
        try await Self.with { store, told, connection in
            let queue = try await PostgresDownlink(store, gateway: 1, now: 0)
            func add(_ text: String) async throws -> Int64 {
                try await queue.add(Array(text.utf8), for: Self.device, expiresAt: 100, now: 0).id
            }
            let ids = [try await add("1"), try await add("2"), try await add("3"), try await add("4")]
            try connection.query(
                "UPDATE ouroboros.downlink SET device = 'short' WHERE id = $1", [.integer(ids[0])])
            try connection.query(
                """
                UPDATE ouroboros.downlink SET queued_at = $2, expires_at = $3 WHERE id = $1
                """, [.integer(ids[1]), .integer(.min), .integer(.max)])
            try connection.query(
                "UPDATE ouroboros.downlink SET state = 'lost' WHERE id = $1", [.integer(ids[3])])
            #expect(try await queue.waitingDevices() == [Self.device])
            #expect(told.all.contains { $0.contains("“device”") }, "\(told.all)")
            await Self.storageError("“device”", "ouroboros.downlink") { _ = try await queue.entry(ids[0]) }
            await Self.storageError("“state”", "ouroboros.downlink") { _ = try await queue.entry(ids[3]) }
            #expect(try await queue.take(for: Self.device, limit: 9, now: 0).map(\.id) == [ids[1], ids[2]])
            #expect(try await queue.expire(now: 100) == [ids[0]: .failed])
            #expect(try await queue.load().messages == 3)
        }
    }

    @Test func theSpoolsName() async throws {
        try await Self.with { store, _, connection in
            try connection.query("UPDATE ouroboros.identity SET name = $1", [.text("a\nb")])
            await Self.storageError("“name”", "ouroboros.identity") {
                _ = try await PostgresMessages(store).identity()
            }
        }
    }
}
