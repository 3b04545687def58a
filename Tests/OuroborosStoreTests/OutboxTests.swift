import Foundation
import GRDB
import LibC
import Ouroboros
import OuroborosTesting
import TestSupport
import Testing

@testable import OuroborosStore

@Suite struct OutboxTests {
    let scratch: Scratch

    init() throws {
        scratch = try Scratch()
    }

    private func outbox(_ limits: Outbox.Limits = .init()) throws -> Outbox {
        try Outbox(in: DeviceState(path: scratch.file("state")), limits: limits)
    }

    private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    private func texts(_ entries: [Outbox.Entry]) -> [String] {
        entries.map { String(decoding: $0.payload, as: UTF8.self) }
    }

    @Test func messagesSurviveInOrder() throws {
        var box: UInt32 = 0
        do {
            let outbox = try outbox()
            try outbox.append([bytes("a"), bytes("b")])
            try outbox.append([bytes("c")])
            box = try outbox.summary().box
            let taken = try outbox.takeNext(limit: 2)
            #expect(texts(taken) == ["a", "b"])
            try outbox.delivered([taken[0]])
        }
        let outbox = try outbox()
        #expect(try outbox.summary().box == box)
        #expect(box != 0)
        let taken = try outbox.takeNext(limit: 10)
        #expect(texts(taken) == ["b", "c"])
        #expect(taken.map(\.position) == [1, 2].map { OutboxPosition(box: box, sequence: $0) })
        // What is under way is not taken twice; what was not delivered is, with the same position.
        #expect(try outbox.takeNext(limit: 10).isEmpty)
        outbox.notDelivered([taken[0]])
        #expect(try outbox.takeNext(limit: 10) == [taken[0]])
        try outbox.delivered(taken)
        #expect(outbox.isEmpty)
        // A number is never used again.
        try outbox.append([bytes("d")])
        #expect(try outbox.takeNext(limit: 1).first?.position.sequence == 3)
    }

    @Test func noneRunsFarAhead() throws {
        let outbox = try outbox()
        try outbox.append((0..<200).map { bytes("\($0)") })
        var taken = try outbox.takeNext(limit: 1000)
        #expect(taken.map(\.position.sequence) == Array(0..<64))
        // All but the lowest are acknowledged: it holds the others back.
        try outbox.delivered(Array(taken.dropFirst()))
        #expect(try outbox.takeNext(limit: 1000).isEmpty)
        outbox.notDelivered([taken[0]])
        #expect(try outbox.takeNext(limit: 1000) == [taken[0]])
        try outbox.delivered([taken[0]])
        taken = try outbox.takeNext(limit: 1000)
        #expect(taken.map(\.position.sequence) == Array(64..<128))
    }

    @Test func aFullBoxIsFollowedByANewOne() throws {
        let path = scratch.file("state")
        try outbox().append([bytes("first")])
        let queue = try DatabaseQueue(path: path)
        try queue.write {
            try $0.execute(sql: "UPDATE outbox SET next_seq = 4294967294")
            try $0.execute(sql: "UPDATE outbox_message SET seq = 4294967293")
        }
        try queue.close()
        let outbox = try outbox()
        let box = try outbox.summary().box
        try outbox.append([bytes("a"), bytes("b"), bytes("c"), bytes("d")])
        let taken = try outbox.takeNext(limit: 10)
        #expect(texts(taken) == ["first", "a", "b"])
        #expect(taken.last?.position == OutboxPosition(box: box, sequence: .max))
        try outbox.delivered(taken)
        let next = try outbox.takeNext(limit: 10)
        #expect(texts(next) == ["c", "d"])
        #expect(next.map(\.position.sequence) == [0, 1])
        #expect(next.allSatisfy { $0.position.box != box && $0.position.box != 0 })
    }

    @Test func theOldestMakeRoom() throws {
        var limits = Outbox.Limits()
        limits.messages = 3
        let outbox = try outbox(limits)
        #expect(try outbox.append((0..<5).map { bytes("\($0)") }) == 2)
        #expect(texts(try outbox.entries()) == ["2", "3", "4"])
        // What has gone out stays.
        let taken = try outbox.takeNext(limit: 2)
        #expect(texts(taken) == ["2", "3"])
        #expect(try outbox.append([bytes("5")]) == 1)
        #expect(texts(try outbox.entries()) == ["2", "3", "5"])
        #expect(try outbox.summary().dropped == 3)
        #expect(try outbox.summary().messages == 3)
    }

    @Test func bytesAndAgeAreBounded() throws {
        var limits = Outbox.Limits()
        limits.bytes = 1000
        limits.age = 3600
        do {
            let outbox = try outbox(limits)
            #expect(
                try outbox.append([[UInt8](repeating: 1, count: 600), [UInt8](repeating: 2, count: 600)]) == 1
            )
            #expect(try outbox.summary().bytes == 600)
        }
        let queue = try DatabaseQueue(path: scratch.file("state"))
        try queue.write { try $0.execute(sql: "UPDATE outbox_message SET queued_at = queued_at - 4000") }
        try queue.close()
        let outbox = try outbox(limits)
        #expect(try outbox.append([[3]]) == 1)
        #expect(try outbox.summary().messages == 1)
        #expect(try outbox.summary().dropped == 2)
    }

    @Test func aClockThatWasNotSetMakesNothingOld() throws {
        try outbox().append([bytes("from 1970")])
        let queue = try DatabaseQueue(path: scratch.file("state"))
        try queue.write { try $0.execute(sql: "UPDATE outbox_message SET queued_at = 12") }
        try queue.close()
        let outbox = try outbox()
        #expect(try outbox.append([bytes("now")]) == 0)
        #expect(try outbox.summary().messages == 2)
    }

    @Test func clearingBeginsANewBox() throws {
        let outbox = try outbox()
        try outbox.append([bytes("a"), bytes("b")])
        let box = try outbox.summary().box
        #expect(try outbox.clear() == 2)
        #expect(outbox.isEmpty)
        #expect(try outbox.summary().box != box)
        #expect(try outbox.summary().nextSequence == 0)
    }

    @Test func whatNoPacketHoldsIsRefused() throws {
        let outbox = try outbox()
        let error = #expect(throws: OuroborosError.self) {
            try outbox.append([bytes("a"), [UInt8](repeating: 0, count: 1193)])
        }
        #expect(error?.code == .tooLarge)
        #expect(outbox.isEmpty)
        try outbox.append([[UInt8](repeating: 0, count: 1192)])
    }

    @Test func theStateLiesBesideIt() throws {
        let credential = Credential.evolving(device: DeviceID(number: 1), epoch: 3, key: .random())
        do {
            let state = try DeviceState(path: scratch.file("state"), keyEncryptionKey: .random())
            try state.save(credential)
            try Outbox(in: state).append([bytes("a")])
        }
        // Without the key of the credential the outbox can still be read.
        #expect(try outbox().summary().messages == 1)
    }
}

@Suite(.timeLimit(.minutes(1))) struct OutboxSenderTests {
    let scratch: Scratch

    init() throws {
        scratch = try Scratch()
    }

    /// A gateway that keeps the record, behind a connection that loses outcomes as a seed has it.
    private final class Peer: Sendable {
        struct State {
            var random: SeededGenerator
            var record: OnceRecord?
            var handedOn: [UInt32] = []
            var inFlight: Set<UInt32> = []
            var acknowledged: Set<UInt32> = []
            var widest = 0
        }

        let state: Locked<State>

        init(seed: UInt64) {
            state = Locked(State(random: SeededGenerator(seed: seed)))
        }

        func post(_ message: OutgoingMessage) -> @Sendable () async throws -> Void {
            let sequence = message.position?.sequence ?? 0
            state.withLock { state in
                state.inFlight.insert(sequence)
                let lowest = (0...sequence).first { !state.acknowledged.contains($0) } ?? sequence
                state.widest = max(state.widest, Int(sequence - lowest))
            }
            return { [self] in
                await Task.yield()
                try state.withLock { state in
                    let luck = Int.random(in: 0..<10, using: &state.random)
                    if luck < 8 {
                        if state.record == nil {
                            state.record = OnceRecord(first: sequence)
                            state.handedOn.append(sequence)
                        } else if state.record?.take(sequence) == true {
                            state.handedOn.append(sequence)
                        }
                    }
                    state.inFlight.remove(sequence)
                    guard luck < 6 else { throw OuroborosError(.unknown, "lost") }
                    state.acknowledged.insert(sequence)
                }
            }
        }
    }

    @Test(arguments: 1...10) func eachArrivesOnceHoweverOftenItIsSent(seed: UInt64) async throws {
        let outbox = try Outbox(in: DeviceState(path: scratch.file("state")))
        try outbox.append((0..<150).map { [UInt8($0)] })
        let peer = Peer(seed: seed)
        let delivered = Locked(0)
        let sender = OutboxSender(outbox) { entries in delivered.withLock { $0 += entries.count } }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await sender.run { peer.post($0) } }
            group.addTask {
                for number in 150..<200 {
                    await Task.yield()
                    try outbox.append([[UInt8(number)]])
                }
                sender.finish()
            }
            try await group.waitForAll()
        }
        #expect(outbox.isEmpty)
        #expect(delivered.withLock(\.self) == 200)
        let (handedOn, widest) = peer.state.withLock { ($0.handedOn, $0.widest) }
        #expect(handedOn.count == 200)
        #expect(Set(handedOn) == Set(0..<200))
        #expect(widest < 64)
    }

    @Test func whatTheGatewayDoesNotTakeIsDropped() async throws {
        let outbox = try Outbox(in: DeviceState(path: scratch.file("state")))
        try outbox.append([[1], [2, 2], [3]])
        let sender = OutboxSender(outbox)
        sender.finish()
        try await sender.run { message in
            guard message.payload.count < 2 else { throw OuroborosError(.tooLarge, "too large") }
            return {}
        }
        #expect(outbox.isEmpty)
        #expect(try outbox.summary().dropped == 1)
    }

    /// A message that the path does not carry is given up as one that is too large, and holds none of the others back.
    @Test func whatThePathDoesNotCarryIsDroppedAndTheRestGoesOn() async throws {
        let outbox = try Outbox(in: DeviceState(path: scratch.file("state")))
        try outbox.append((0..<200).map { [UInt8($0)] })
        let sender = OutboxSender(outbox)
        sender.finish()
        let (ends, end) = AsyncStream.makeStream(of: Void.self)
        let arrived = Locked<[UInt32]>([])
        try await sender.run { message in
            guard let position = message.position, position.sequence != 5 else {
                message.position.map(sender.stalled)
                return {
                    // It ends once one is given that is 64 above.
                    for await _ in ends { break }
                    throw OuroborosError(.stalled, "too large for the path")
                }
            }
            if position.sequence == 5 + 64 { end.finish() }
            arrived.withLock { $0.append(position.sequence) }
            return {}
        }
        #expect(arrived.withLock(\.self) == (0..<200).filter { $0 != 5 })
        #expect(outbox.isEmpty)
        #expect(try outbox.summary().dropped == 1)
    }

    /// A connection would refuse what is far above for ever.
    @Test func whatWasUnknownAndIsNotTakenAgainIsGivenUp() async throws {
        let outbox = try Outbox(in: DeviceState(path: scratch.file("state")))
        try outbox.append([[0], [1]])
        let sender = OutboxSender(outbox)
        sender.finish()
        let posts = Locked(0)
        let givenUp = Locked<[UInt32]>([])
        try await sender.run(
            { message in
                guard message.position?.sequence == 0 else { return {} }
                let isFirst = posts.withLock { posts in
                    posts += 1
                    return posts == 1
                }
                // The next session is with a gateway that takes less.
                guard isFirst else { throw OuroborosError(.tooLarge, "too large") }
                return { throw OuroborosError(.unknown, "its session ended") }
            }, giveUp: { position in givenUp.withLock { $0.append(position.sequence) } })
        #expect(givenUp.withLock(\.self) == [0])
        #expect(outbox.isEmpty)
    }

    @Test func aConnectionThatEndsLeavesTheRest() async throws {
        let outbox = try Outbox(in: DeviceState(path: scratch.file("state")))
        try outbox.append((0..<10).map { [UInt8($0)] })
        let sender = OutboxSender(outbox)
        sender.finish()
        await #expect(throws: OuroborosError.self) {
            try await sender.run { message in
                if message.payload == [5] { throw OuroborosError(.closed, "closed") }
                return {}
            }
        }
        let rest = try outbox.entries().map(\.payload)
        #expect(rest.contains([5]) && rest.contains([9]))
        // And on the next connection all of it goes.
        let sent = Locked<[[UInt8]]>([])
        try await sender.run { message in
            sent.withLock { $0.append(message.payload) }
            return {}
        }
        #expect(sent.withLock(\.self) == rest)
        #expect(outbox.isEmpty)
    }

    @Test func aCancelledSenderLeavesWhatIsUnderWay() async throws {
        let outbox = try Outbox(in: DeviceState(path: scratch.file("state")))
        try outbox.append([[1], [2]])
        let sender = OutboxSender(outbox)
        let (posted, continuation) = AsyncStream.makeStream(of: Void.self)
        let task = Task {
            try await sender.run { _ in
                continuation.yield()
                return { try await Task.sleep(for: .seconds(1000)) }
            }
        }
        for await _ in posted.prefix(2) {}
        task.cancel()
        await #expect(throws: (any Error).self) { try await task.value }
        #expect(try outbox.takeNext(limit: 10).count == 2)
    }
}
