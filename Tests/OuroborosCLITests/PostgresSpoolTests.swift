import Foundation
import Ouroboros
import OuroborosStore
import TestSupport
import Testing

@testable import OuroborosPostgres

/// The spool that gateways share, without the gateways.
@Suite(.serialized, .timeLimit(.minutes(6))) struct PostgresSpoolTests {
    private static func spool(_ url: String) throws -> PostgresMessages {
        PostgresMessages(try PostgresStore(try PostgresLocation(url), keyEncryptionKey: nil))
    }

    /// One message of each of so many devices, from a box or from none.
    private static func batch(
        _ count: Int, counter: UInt64, box: UInt32? = nil
    ) -> [(device: DeviceID, message: Message)] {
        (0..<count).map { number in
            let position = box.map { OutboxPosition(box: $0, sequence: UInt32(counter)) }
            return (
                DeviceID(number: UInt64(number)),
                Message(sessionID: 1, counter: counter, payload: [UInt8(number & 255)], position: position)
            )
        }
    }

    @Test func whatABatchCostsIsNoMatterOfItsSize() async throws {
        try await PostgresCluster.with { cluster in
            let front = try await LostAnswer.start(before: cluster)
            let spool = try Self.spool(front.url)
            let store = spool.store
            try store.add(
                (0..<300).map {
                    let id = DeviceID(number: UInt64($0))
                    return StoredDevice(
                        credential: .fixed(device: id, rootKey: .random()), name: "", addedAt: 1)
                }, under: .random())
            func cost(_ body: () async throws -> Void) async throws -> LostAnswer.Asked {
                let before = front.asked
                try await body()
                let now = front.asked
                return .init(
                    statements: now.statements - before.statements, turns: now.turns - before.turns)
            }
            // What opens a connection has been said.
            _ = try await spool.lastID()
            for box in [nil, 7] as [UInt32?] {
                var costs: [LostAnswer.Asked] = []
                for (counter, count) in [1, 2, 300].enumerated() {
                    let batch = Self.batch(count, counter: UInt64(counter), box: box)
                    costs.append(
                        try await cost {
                            let isNew = try await spool.store(batch, now: 1)
                            #expect(isNew.allSatisfy { $0 })
                        })
                }
                #expect(Set(costs.map(\.statements)).count == 1, "\(costs)")
                #expect(costs.allSatisfy { $0.turns == (box == nil ? 1 : 2) }, "\(costs)")
            }
            // Of boxes that it knows.
            let known = try await cost {
                let isNew = try await spool.store(Self.batch(300, counter: 9, box: 7), now: 1)
                #expect(isNew.allSatisfy { $0 })
            }
            #expect(known.turns == 1)
            let claim = try #require(try await spool.claim("http"))
            // It has the connection that was open.
            _ = try await spool.lastID()
            var position: Int64 = 0
            var costs: [LostAnswer.Asked] = []
            for limit in [1, 2, 300] {
                costs.append(
                    try await cost {
                        let page = try await spool.page(after: position, limit: limit)
                        let end = try #require(page.end)
                        #expect(page.messages.count == limit)
                        try await claim.beginBatch(through: end)
                        let refused = page.messages.map { ($0.id, "400") }
                        try await claim.passed(
                            from: position, through: end, refused: Dictionary(uniqueKeysWithValues: refused))
                        position = end
                    })
            }
            #expect(costs.allSatisfy { $0 == costs[0] }, "\(costs)")
            costs = []
            for count in [1, 300] {
                costs.append(
                    try await cost {
                        var activity = DeviceActivity()
                        activity.messages = 1
                        let all = (0..<count).map { (DeviceID(number: UInt64($0)), activity) }
                        try await store.count(Dictionary(uniqueKeysWithValues: all), at: 5)
                    })
            }
            #expect(costs.allSatisfy { $0 == costs[0] }, "\(costs)")
            #expect(try await store.records(of: nil).map(\.messages) == [2] + Array(repeating: 1, count: 299))
            try await front.close()
        }
    }

    @Test(arguments: [nil, 7] as [UInt32?])
    func whereTheAnswerToACommitIsLostNothingIsStoredTwice(box: UInt32?) async throws {
        try await PostgresCluster.with { cluster in
            let front = try await LostAnswer.start(before: cluster)
            let spool = try Self.spool(front.url)
            front.lose(answerTo: "INSERT INTO ouroboros.message")
            let isNew = try await spool.store(Self.batch(3, counter: 1, box: box), now: 1)
            #expect(front.lost == 1)
            // It is new: what is handed on beside the spool is handed on.
            #expect(isNew == [true, true, true])
            #expect(try await spool.messages(after: 0, limit: 10).map(\.payload) == [[0], [1], [2]])
            try await front.close()
        }
    }

    @Test func whoStandsStillInTheMiddleOfABatchKeepsNobodyFromStoring() async throws {
        try await PostgresCluster.with { cluster in
            let (spool, other) = (try Self.spool(cluster.url), try Self.spool(cluster.url))
            _ = try await spool.store(Self.batch(1, counter: 0, box: 7), now: 1)
            let still = PostgresBatch(
                Self.batch(2, counter: 1, box: 7), now: 1, spool.boxes, spool.unreadable)
            // It has the first ids, and commits them later.
            let connection = try spool.store.database.connect()
            try connection.run(try still.begin(over: connection).statements)
            let later = try await bounded("the other gateway stores", by: .seconds(60)) {
                // Of other devices.
                try await other.store(Array(Self.batch(4, counter: 2, box: 7).dropFirst(2)), now: 1)
            }
            #expect(later == [true, true])
            // What comes after them is not handed on before them.
            let first = try await spool.page(after: 0, limit: 10)
            #expect(first.messages.map(\.counter) == [0])
            try connection.query("COMMIT")
            let rest = try await other.page(after: try #require(first.end), limit: 10)
            #expect(rest.messages.map(\.counter) == [1, 1, 2, 2])
        }
    }

    @Test func whoReadsWhileManyStoreMissesNone() async throws {
        try await PostgresCluster.with { cluster in
            let (writers, batches, perBatch) = (4, 40, 5)
            let spools = try (0..<writers).map { _ in try Self.spool(cluster.url) }
            let reader = try Self.spool(cluster.url)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (number, spool) in spools.enumerated() {
                    group.addTask {
                        let device = DeviceID(number: UInt64(number))
                        for turn in 0..<batches {
                            let batch = (0..<perBatch).map {
                                let counter = UInt64(turn * perBatch + $0)
                                return (device, Message(sessionID: 1, counter: counter, payload: []))
                            }
                            _ = try await spool.store(batch, now: 1)
                        }
                    }
                }
                var read: [DeviceID: [UInt64]] = [:]
                var (last, count): (Int64, Int) = (0, 0)
                try await eventually("all are read, in order") {
                    let page = try await reader.page(after: last, limit: 7)
                    for message in page.messages {
                        read[message.device, default: []].append(message.counter)
                    }
                    count += page.messages.count
                    last = page.end ?? last
                    return count == writers * batches * perBatch
                }
                let all = (0..<UInt64(batches * perBatch)).map { $0 }
                #expect(read.values.allSatisfy { $0 == all })
                try await group.waitForAll()
            }
        }
    }

    @Test func fourBoxesAreRemembered() async throws {
        try await PostgresCluster.with { cluster in
            let spool = try Self.spool(cluster.url)
            let device = DeviceID(number: 1)
            func isNew(_ boxes: UInt32...) async throws -> [Bool] {
                try await spool.store(
                    boxes.enumerated().map { index, box in
                        (
                            device,
                            Message(
                                sessionID: 1, counter: UInt64(index), payload: [],
                                position: OutboxPosition(box: box, sequence: 0))
                        )
                    }, now: 1)
            }
            #expect(try await isNew(1, 2, 3, 4) == [true, true, true, true])
            // A repeat is use: box 2 is the oldest now, and makes room for box 5.
            #expect(try await isNew(1, 5) == [false, true])
            #expect(try await isNew(1, 3, 4, 5) == [false, false, false, false])
            #expect(try await isNew(2) == [true])
        }
    }
}

extension PostgresStore {
    /// Devices with keys that nobody asks for.
    fileprivate func add(_ devices: [StoredDevice], under key: SecretKey) throws {
        try PostgresStore(database.location, keyEncryptionKey: key).add(devices)
    }
}
