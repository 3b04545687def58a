import GRDB
import LibC
import Ouroboros
import TestSupport
import Testing

@testable import OuroborosStore

/// What SQLite says of a file, and what that means.
@Suite struct StoreFailureTests {
    @Test(
        arguments: [
            (.SQLITE_BUSY, .locked), (.SQLITE_BUSY_SNAPSHOT, .locked), (.SQLITE_LOCKED, .locked),
            (.SQLITE_FULL, .full), (.SQLITE_READONLY, .notWritable), (.SQLITE_READONLY_DBMOVED, .notWritable),
            (.SQLITE_CANTOPEN, .notWritable), (.SQLITE_IOERR_FSYNC, .inputOutput),
            (.SQLITE_IOERR_SHMSIZE, .inputOutput), (.SQLITE_NOMEM, .other), (.SQLITE_ERROR, .other),
            (.SQLITE_CORRUPT, .damaged), (.SQLITE_CORRUPT_INDEX, .damaged), (.SQLITE_NOTADB, .foreign),
        ] as [(ResultCode, StoreFailure)])
    func eachCodeHasItsClass(code: ResultCode, failure: StoreFailure) {
        #expect(StoreFailure(code) == failure)
    }

    @Test(
        arguments: [
            (EWOULDBLOCK, .locked), (ENOSPC, .full), (EDQUOT, .full), (EROFS, .notWritable),
            (EIO, .inputOutput), (ESTALE, .inputOutput), (EACCES, .other), (ENOENT, .other),
        ] as [(Int32, StoreFailure)])
    func soHasEachErrorOfTheSystem(number: Int32, failure: StoreFailure) {
        #expect(StoreFailure(errno: number) == failure)
    }

    @Test func onlyWhatHasToBeReplacedIsNoPassingTrouble() {
        for failure in StoreFailure.allCases {
            let error = failure.error("/a/file", "SQLite's words")
            let isLasting = failure == .damaged || failure == .foreign
            #expect(failure.passes != isLasting)
            #expect(error.code == (isLasting ? .storage : .busy))
            #expect(error.message.contains("/a/file"), "\(error)")
        }
        #expect(StoreFailure.damaged.error("x", "").message.contains("backup"))
        #expect(StoreFailure.foreign.error("x", "").message.contains("name another file"))
        #expect(StoreFailure.inputOutput.error("x", "disk I/O error").message == "“x”: disk I/O error")
    }

    @Test func aSmallWriteBetweenFailuresIsNoRecovery() {
        let start = ContinuousClock.now
        let full = OuroborosError(.busy, "full")
        var health = WriteHealth()
        #expect(health.trouble(at: start) == nil)
        health.failed(full, at: start)
        #expect(health.trouble(at: start + .seconds(3600)) == full)
        #expect(health.recentFailure(at: start + .milliseconds(500)) == full)
        #expect(health.recentFailure(at: start + .seconds(2)) == nil)
        health.succeeded()
        #expect(health.recentFailure(at: start) == nil)
        #expect(health.trouble(at: start + .seconds(1)) == full)
        #expect(health.trouble(at: start + WriteHealth.calm + .milliseconds(1)) == nil)
        health.failed(full, at: start + .seconds(20))
        #expect(health.trouble(at: start + .seconds(3600)) == full)
    }

    @Test func aDiskThatHangsIsTold() async throws {
        let (threads, hang) = ([OwnThread(), OwnThread()], Hang())
        defer { hang.end() }
        #expect(threads.hang(at: "/a/file", after: .zero) == nil)
        let call = Task { try await threads[1].run { hang.wait() } }
        try await eventually("it is told") { threads.hang(at: "/a/file", after: .milliseconds(50)) != nil }
        let error = threads.hang(at: "/a/file", after: .zero)
        #expect(error?.code == .busy && error?.message.contains("/a/file") == true)
        #expect(threads.hang(at: "/a/file") == nil)
        hang.end()
        try await call.value
        try await eventually("it is well") { threads.hang(at: "/a/file", after: .zero) == nil }
    }

    @Test func whatIsDamagedIsKnownToAllWhoHaveItOpen() throws {
        let scratch = try Scratch()
        let store = try GatewayStore(path: scratch.file("store"))
        try store.add(.fixed(device: DeviceID(number: 1), rootKey: .random()), name: "kitchen")
        try store.tidy()
        let other = try GatewayStore(path: scratch.file("store"))
        #expect(other.database.health.damage == nil)
        try scratch.spoil("store", from: 4096)
        let error = #expect(throws: OuroborosError.self) { try other.credential(of: DeviceID(number: 1)) }
        #expect(error?.code == .storage && error?.message.contains("is damaged") == true)
        #expect(other.database.health.damage == error)
        // Of what passes, or is one row's, nothing is held against the file.
        #expect(other.database.health.trouble == nil)
    }

    @Test func aFileThatIsHeldByAnotherIsBusyAndThenWellAgain() throws {
        let scratch = try Scratch()
        let spool = try Spool(path: scratch.file("spool"))
        let lock = try HeldLock(scratch.file("spool"))
        let error = #expect(throws: OuroborosError.self) { try spool.remove(through: 1) }
        #expect(error?.code == .busy)
        #expect(spool.database.health.trouble == error)
        // Who reads does not wait.
        #expect(try spool.messages().isEmpty)
        try lock.release()
        _ = try spool.remove(through: 1)
        try spool.database.probe()
    }

    @Test func aFullDiskIsBusyAndNothingIsLost() throws {
        let scratch = try Scratch()
        let spool = try Spool(path: scratch.file("spool"))
        let message = Message(sessionID: 1, counter: 1, payload: [UInt8](repeating: 7, count: 1000))
        let device = DeviceID(number: 1)
        try spool.database.limitPages()
        var stored = 0
        let error = #expect(throws: OuroborosError.self) {
            while true {
                _ = try spool.store([(device, message)], now: 0)
                stored += 1
            }
        }
        #expect(error?.code == .busy)
        #expect(error?.message.contains("disk is full") == true)
        try spool.database.limitPages(to: 1 << 20)
        #expect(try spool.store([(device, message)], now: 0) == [true])
        #expect(try spool.messages().count == stored + 1)
    }
}

@Suite struct PastKeysTests {
    @Test func whatIsLeftWhileTheLogIsCutIsErasedTheNextTime() throws {
        let keys = PastKeys()
        var cuts = 0
        keys.erase { cuts += 1 }
        #expect(cuts == 0)
        keys.note()
        keys.erase {
            cuts += 1
            keys.note()
        }
        keys.erase { cuts += 1 }
        #expect(cuts == 2)
        keys.erase { cuts += 1 }
        #expect(cuts == 2)
    }

    @Test func aCutThatFailsIsTriedAgain() throws {
        struct Failure: Error {}
        let keys = PastKeys()
        keys.note()
        #expect(throws: Failure.self) { try keys.erase { throw Failure() } }
        var cuts = 0
        keys.erase { cuts += 1 }
        #expect(cuts == 1)
    }
}
