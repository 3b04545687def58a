import GRDB
import LibC
import Ouroboros
import TestSupport
import Testing

@testable import OuroborosStore

/// A device whose disk is full.
@Suite(.timeLimit(.minutes(1))) struct OutboxDiskTests {
    let scratch: Scratch
    let state: DeviceState
    let outbox: Outbox

    init() throws {
        scratch = try Scratch()
        state = try DeviceState(path: scratch.file("state"))
        outbox = try Outbox(in: state)
    }

    /// No message is written or removed any more.
    private func fillDisk() throws {
        try change { action in
            """
            CREATE TEMP TRIGGER no_\(action) BEFORE \(action) ON outbox_message
            BEGIN SELECT RAISE(ABORT, 'full'); END
            """
        }
    }

    private func makeRoom() throws {
        try change { "DROP TRIGGER no_\($0)" }
    }

    private func change(_ sql: (String) -> String) throws {
        try state.database.queue.writeWithoutTransaction { database in
            for action in ["INSERT", "DELETE"] {
                try database.execute(sql: sql(action))
            }
        }
    }

    private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    private func texts(_ entries: [Outbox.Entry]) -> [String] {
        entries.map { String(decoding: $0.payload, as: UTF8.self) }
    }

    @Test func whatIsThereGoesOutOnceAndLeavesTheFileLater() throws {
        try outbox.append((0..<100).map { bytes("\($0)") })
        try fillDisk()
        var sent: [String] = []
        while true {
            let taken = try outbox.takeNext(limit: 30)
            if taken.isEmpty { break }
            sent += texts(taken)
            try outbox.delivered(taken)
        }
        #expect(sent == (0..<100).map(String.init))
        #expect(outbox.isEmpty)
        #expect(outbox.unremoved == 100)
        #expect(try outbox.summary().messages == 0)
        try makeRoom()
        try outbox.append([bytes("next")])
        #expect(outbox.unremoved == 0)
        #expect(texts(try outbox.entries()) == ["next"])
    }

    @Test func aMessageThatCannotBeWrittenIsRefusedOrHeld() throws {
        try outbox.append([bytes("saved")])
        try fillDisk()
        let error = #expect(throws: OuroborosError.self) { try outbox.append([bytes("refused")]) }
        #expect(error?.code == .busy)
        #expect(try outbox.appendOrHold([bytes("held"), bytes("too")]) == (0, false))
        #expect(outbox.unsaved == 2)
        // Those of the file come first, and the two boxes are never under way together.
        let first = try outbox.takeNext(limit: 10)
        #expect(texts(first) == ["saved"])
        #expect(try outbox.takeNext(limit: 10).isEmpty)
        try outbox.delivered(first)
        let second = try outbox.takeNext(limit: 10)
        #expect(texts(second) == ["held", "too"])
        #expect(second.allSatisfy { $0.position.box != first[0].position.box })
        #expect(second.map(\.position.sequence) == [0, 1])
        try outbox.delivered(second)
        #expect(outbox.isEmpty)
    }

    @Test func whatIsHeldIsWrittenWhenThereIsRoomUnlessItWentOut() throws {
        try fillDisk()
        _ = try outbox.appendOrHold([bytes("a"), bytes("b")])
        let sent = try outbox.takeNext(limit: 1)
        #expect(texts(sent) == ["a"])
        try makeRoom()
        #expect(try outbox.appendOrHold([bytes("c")]) == (0, true))
        #expect(texts(try outbox.entries()) == ["b", "c"])
        #expect(outbox.unsaved == 1)
        // Its outcome is not known: it goes again under its own number.
        #expect(try outbox.takeNext(limit: 10).isEmpty)
        outbox.notDelivered(sent)
        let next = try outbox.takeNext(limit: 10)
        #expect(texts(next) == ["b", "c"])
        try outbox.delivered(next)
        #expect(try outbox.takeNext(limit: 10) == sent)
        try outbox.delivered(sent)
        #expect(outbox.isEmpty)
    }

    @Test func theSenderEmptiesABoxThatCannotBeWritten() async throws {
        try outbox.append((0..<150).map { bytes("\($0)") })
        try fillDisk()
        _ = try outbox.appendOrHold([bytes("held")])
        let sender = OutboxSender(outbox)
        sender.finish()
        let sent = Locked<[String]>([])
        try await bounded("the end of the sender", by: .seconds(30)) {
            try await sender.run { message in
                sent.withLock { $0.append(String(decoding: message.payload, as: UTF8.self)) }
                return {}
            }
        }
        #expect(sent.withLock(\.self) == (0..<150).map(String.init) + ["held"])
    }
}

@Suite struct UnsavedBoxTests {
    @Test func theOldestThatNeverWentOutMakeRoom() {
        var box = UnsavedBox(box: 7)
        for number in 0..<UnsavedBox.mostMessages {
            #expect(box.append([UInt8(truncatingIfNeeded: number)], queuedAt: 0) == 0)
        }
        let sent = box.take(limit: 2, reach: 64, underWay: [], stalled: [])
        #expect(sent.map(\.position) == [0, 1].map { OutboxPosition(box: 7, sequence: $0) })
        #expect(box.append([1], queuedAt: 0) == 1)
        #expect(box.entries.prefix(3).map(\.position.sequence) == [0, 1, 3])
        #expect(box.entries.count == UnsavedBox.mostMessages)
    }

    @Test func noneRunsFarAheadOfTheLowest() {
        var box = UnsavedBox(box: 7)
        for _ in 0..<100 { _ = box.append([1], queuedAt: 0) }
        let taken = box.take(limit: 1000, reach: 64, underWay: [], stalled: [])
        #expect(taken.map(\.position.sequence) == Array(0..<64))
        let ids = Set(taken.map(\.id))
        #expect(box.take(limit: 1000, reach: 64, underWay: ids, stalled: []).isEmpty)
        // One that does not get through holds none back.
        let next = box.take(limit: 1000, reach: 64, underWay: ids, stalled: [taken[0].id])
        #expect(next.map(\.position.sequence) == [64])
        box.remove(taken.map(\.id))
        #expect(box.entries.first?.position.sequence == 64)
        #expect(box.bytes == 36)
    }
}
