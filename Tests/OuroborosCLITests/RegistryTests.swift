import Foundation
import FoundationNetworking
import NIOCore
import Ouroboros
import OuroborosNIO
import OuroborosPostgres
import OuroborosStore
import Subprocess
import TestSupport
import Testing

/// Several gateways over one PostgreSQL.
@Suite(.timeLimit(.minutes(6)), .serialized) struct RegistryTests {
    let scratch: Scratch
    private let device = "0102030405060708"
    private static let id = DeviceID(number: 0x0102_0304_0506_0708)
    private static let kek = SecretKey.random()
    private static let credential = Credential.fixed(device: id, rootKey: .random())

    init() throws {
        scratch = try Scratch()
    }

    private static func store(_ cluster: PostgresCluster) throws -> PostgresStore {
        try PostgresStore(try cluster.location, keyEncryptionKey: kek)
    }

    @Test func ofTwoGatewaysOneMovesAnEpoch() async throws {
        try await PostgresCluster.with { cluster in
            // Both make the tables; one of them does.
            async let first = Self.store(cluster)
            async let second = Self.store(cluster)
            let stores = try await [first, second]
            let root = SecretKey.random()
            let credential = Credential.evolving(device: Self.id, key: root)
            try stores[0].add([StoredDevice(credential: credential, name: "a", addedAt: 1)])
            let registries = stores.map { PostgresRegistry($0) }
            #expect(try await registries[1].device(Self.id).credential == credential)
            for epoch in 0..<UInt64(20) {
                let next = Credential.evolving(device: Self.id, epoch: epoch + 1, key: .random())
                let moved = await withTaskGroup(of: Bool.self) { group in
                    for number in 0..<8 {
                        group.addTask {
                            (try? await registries[number % 2].advance(to: next, from: epoch)) != nil
                        }
                    }
                    return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
                }
                #expect(moved == 1)
                #expect(try await registries[0].device(Self.id).credential == next)
            }
            // Back, or from where it is not, never.
            for (to, from) in [(UInt64(3), UInt64(20)), (20, 20), (21, 19), (30, 21)] {
                await #expect(throws: OuroborosError.self) {
                    try await registries[1].advance(
                        to: .evolving(device: Self.id, epoch: to, key: .random()), from: from)
                }
            }
            #expect(try stores[1].record(of: Self.id)?.epoch == 20)
            // Another key-encryption key opens nothing, and none lists.
            #expect(throws: OuroborosError.self) {
                try PostgresStore(try cluster.location, keyEncryptionKey: .random())
            }
            let locked = try PostgresStore(try cluster.location, keyEncryptionKey: nil)
            #expect(try locked.list().map(\.id) == [Self.id])
            #expect(throws: OuroborosError.self) { try locked.devices(nil) }
        }
    }

    /// Two copies of one device, at two gateways at once: what no device does, and an attacker may.
    @Test func concurrentHandshakesNeverMoveAnEpochBack() async throws {
        try await PostgresCluster.with { cluster in
            let stores = [try Self.store(cluster), try Self.store(cluster)]
            let credential = Credential.evolving(device: Self.id, key: .random())
            try stores[0].add([StoredDevice(credential: credential, name: "", addedAt: 1)])
            var servers: [OuroborosServer] = []
            for (index, store) in stores.enumerated() {
                var configuration = ServerConfiguration()
                configuration.fleet = FleetConfiguration(gatewayNumber: UInt8(index + 1))
                servers.append(
                    try await OuroborosServer.bind(
                        to: [.udp(try SocketAddress(ipAddress: "127.0.0.1", port: 0))],
                        sharedRegistry: PostgresRegistry(store), configuration: configuration))
            }
            let readers = servers.map { server in
                Task { for await batch in server.batches { batch.confirm() } }
            }
            let watcher = Task {
                var epochs: [UInt64] = []
                while !Task.isCancelled {
                    epochs.append(try stores[0].record(of: Self.id)?.epoch ?? 0)
                    try? await Task.sleep(for: .milliseconds(5))
                }
                return epochs
            }
            let sent = await withTaskGroup(of: Bool.self) { group in
                for server in servers {
                    group.addTask {
                        let result: Void? = try? await OuroborosClient.withConnection(
                            to: server.localAddress, credential: credential, store: Forgetful()
                        ) { try await $0.send([1]) }
                        return result != nil
                    }
                }
                // The copy whose HELLO is answered once the other is confirmed has a spent epoch, and is shut out.
                let first = await group.next() ?? false
                group.addTask {
                    try? await Task.sleep(for: .seconds(5))
                    return false
                }
                let second = await group.next() ?? false
                group.cancelAll()
                return [first, second].count(where: \.self)
            }
            watcher.cancel()
            let epochs = try await watcher.value
            #expect(epochs == epochs.sorted())
            let last = try #require(try stores[1].record(of: Self.id)?.epoch)
            // Each that was confirmed was so in an epoch of its own.
            #expect(sent >= 1)
            #expect(last >= UInt64(sent))
            for server in servers { await server.close() }
            for reader in readers { await reader.value }
        }
    }

    private struct Forgetful: CredentialStore {
        func save(_ credential: Credential) throws {}
    }

    @Test func aMessageOfAnOutboxIsStoredOnceWhicheverGatewayItComesTo() async throws {
        try await PostgresCluster.with { cluster in
            let spools = [
                PostgresMessages(try Self.store(cluster)), PostgresMessages(try Self.store(cluster)),
            ]
            let new = try await withThrowingTaskGroup(of: Int.self) { group in
                for (number, spool) in spools.enumerated() {
                    group.addTask {
                        var new = 0
                        for sequence in 0..<UInt32(40) {
                            let message = Message(
                                sessionID: UInt32(number + 1) << 24, counter: UInt64(sequence),
                                payload: [UInt8(sequence)],
                                position: OutboxPosition(box: 9, sequence: sequence))
                            new += try await spool.store([(Self.id, message)], now: 1).filter { $0 }.count
                        }
                        return new
                    }
                }
                return try await group.reduce(0, +)
            }
            #expect(new == 40)
            let stored = try await spools[0].messages(after: 0, limit: 1000)
            #expect(stored.map { $0.payload } == (0..<40).map { [UInt8($0)] })
            #expect(try await spools[1].remove(through: stored[9].id) == 10)
            #expect(try await spools[0].messages(after: 0, limit: 5).map(\.id) == stored[10..<15].map(\.id))
        }
    }

    @Test func gatewaysHearOfEachOtherAndComeBackAfterTheDatabase() async throws {
        try await PostgresCluster.with { cluster in
            let stores = [try Self.store(cluster), try Self.store(cluster)]
            let (speaker, listener) = (PostgresRegistry(stores[0]), PostgresRegistry(stores[1]))
            let session = ConfirmedSession(device: Self.id, sessionID: 0x0100_0007, number: 4)
            let later = ConfirmedSession(device: Self.id, sessionID: 0x0100_0008, number: 5)
            // Before anybody listens: it is told, too.
            try stores[0].add([StoredDevice(credential: Self.credential, name: "", addedAt: 1)])
            var notices = listener.notices().makeAsyncIterator()
            // What was told before it listened.
            #expect(await notices.next() == .missed)
            speaker.announce(session)
            #expect(await notices.next() == .confirmed(session))
            try await cluster.stop()
            await #expect(throws: OuroborosError.self) { try await speaker.device(Self.id) }
            // What is said meanwhile is told later, and what may have been missed is looked up.
            speaker.announce(later)
            try await cluster.start()
            var heard: Set<RegistryNotice> = []
            while !heard.isSuperset(of: [.missed]), let notice = await notices.next() { heard.insert(notice) }
            #expect(heard.contains(.missed))
            // It is tried again with pauses that grow, up to 5 s.
            try await eventually("the registry answers again") {
                (try? await speaker.device(Self.id)) != nil
            }
        }
    }

    @Test func aDeviceGoesOnAtAnotherGatewayWhenItsOwnIsKilled() async throws {
        try await PostgresCluster.with { cluster in
            for name in ["kek", "root.key", "secret"] {
                #expect(try await Tool.run(["keygen", "--out", name], in: scratch).succeeded)
            }
            let add = try await Tool.run(
                [
                    "device", "add", "--registry", cluster.url, "--kek-file", "kek", "--device", device,
                    "--root-key-file", "root.key", "--evolving",
                ], in: scratch)
            #expect(add.succeeded, "\(add.errors)")
            let gateway = [
                "gateway", "--registry", cluster.url, "--kek-file", "kek", "--fleet-secret-file", "secret",
            ]
            let first = Victim(gateway + ["--gateway-number", "1", "--bind", "127.0.0.1:0"], in: scratch)
            await first.start()
            let port = try await first.port(of: "listening on")
            let sender = [
                "send", "--device", device, "--root-key-file", "root.key", "--evolving", "--state", "dev",
                "--outbox",
                "dev", "--timeout", "20s",
            ]
            let one = try await Tool.run(
                sender + ["--to", "127.0.0.1:\(port)", "--message", "one"], in: scratch)
            #expect(one.succeeded, "\(one.errors)")
            try await first.killed()
            let status = try await RunningGateway.with(
                Array(gateway.dropFirst()) + [
                    "--gateway-number", "2", "--workers", "2", "--metrics", "127.0.0.1:0",
                ],
                in: scratch
            ) { second in
                let two = try await Tool.run(
                    sender + ["--to", second.address, "--message", "two"], in: scratch)
                #expect(two.succeeded, "\(two.errors)")
                let messages = try await second.messages(1)
                #expect(messages.map { $0["text"] as? String } == ["two"])
                #expect((messages.first?["session"] as? Int ?? 0) >> 24 == 2)
                // The database goes away: no HELLO is answered, and /healthz says so.
                #expect(try await health(second) == 200)
                try await cluster.stop()
                let away = try await Tool.run(
                    sender.dropLast() + ["600ms", "--to", second.address, "--message", "three"], in: scratch)
                #expect(!away.succeeded)
                try await eventually("its health says so") { try await health(second) == 503 }
                try await second.errors.first(containing: "the registry cannot be reached")
                try await cluster.start()
                let back = try await Tool.run(
                    sender + ["--to", second.address, "--message", "four"], in: scratch)
                #expect(back.succeeded, "\(back.errors)")
                #expect(try await second.texts(3) == ["two", "three", "four"])
                #expect(try await health(second) == 200)
            }
            #expect(status == .exited(0))
            let spooled = try await Tool.run(["spool", "list", "--registry", cluster.url], in: scratch)
            #expect(spooled.lines.count == 4, "\(spooled.output)")
            let shown = try await Tool.run(
                ["device", "show", "--registry", cluster.url, "--device", device], in: scratch)
            #expect(shown.lines.contains("epoch\t3") || shown.lines.contains("epoch\t4"), "\(shown.output)")
        }
    }

    private func health(_ gateway: RunningGateway) async throws -> Int {
        try await gateway.get("healthz").0.statusCode
    }
}
