import CoreMetrics
import LibC
import Logging
import Ouroboros
import OuroborosStore
import TestSupport
import Testing

@testable import OuroborosSinks

/// A task that is cancelled goes on at once, wherever it waits, and leaves no waiter behind.
@Suite(.timeLimit(.minutes(2))) struct CancellationTests {
    private func expectCancelled<Value>(_ outcome: Result<Value, any Error>) {
        #expect(throws: CancellationError.self) { try outcome.get() }
    }

    @Test func whatIsPromised() async throws {
        let promised = Promised<Int>()
        async let other = promised.value()
        try await eventually("one waits") { promised.waiting == 1 }
        let outcome = try await cancelled("a promised value", once: { promised.waiting == 2 }) {
            try await promised.value()
        }
        expectCancelled(outcome)
        #expect(promised.waiting == 1)
        promised.finish(.success(1))
        promised.finish(.success(2))
        #expect(try await other == 1)
        #expect(try await promised.value() == 1)
        #expect(promised.waiting == 0)
    }

    @Test func aCallThatHasNotBegun() async throws {
        let (thread, hang, ran) = (OwnThread(), Hang(), Flag())
        defer { hang.end() }
        let first = Task { try await thread.run { hang.wait() } }
        try await eventually("the thread hangs") { hang.hasBegun }
        let outcome = try await cancelled("a call in the queue", once: { thread.waiting == 1 }) {
            try await thread.run { ran.set() }
        }
        expectCancelled(outcome)
        #expect(thread.waiting == 0)
        // What has begun is waited for: its outcome is known.
        first.cancel()
        hang.end()
        try await first.value
        #expect(try await thread.run { 7 } == 7)
        #expect(!ran.isSet)
    }

    @Test func aReadThatHangs() async throws {
        let (thread, hang) = (OwnThread(), Hang())
        defer { hang.end() }
        let outcome = try await cancelled("a read that hangs", once: { hang.hasBegun }) {
            try await thread.runUnlessCancelled { hang.wait() }
        }
        expectCancelled(outcome)
        // It is left to itself, and what follows waits its turn.
        let next = Task { try await thread.run { 7 } }
        try await eventually("the next call waits") { thread.waiting == 1 }
        hang.end()
        #expect(try await next.value == 7)
    }

    @Test func aThreadWithoutCallsEnds() async throws {
        weak var gone: OwnThread?
        do {
            let thread = OwnThread()
            gone = thread
            #expect(try await thread.run { 1 } == 1)
            // One after the other, while the thread waits.
            #expect(try await thread.run { 2 } == 2)
        }
        try await eventually("it has ended") { gone == nil }
    }

    /// As many as no pool has threads.
    @Test func aDiskThatHangsHoldsUpNoOtherSink() async throws {
        let hangs = (0..<64).map { _ in Hang() }
        defer { for hang in hangs { hang.end() } }
        let stuck = hangs.map { hang in
            Task { try await LineSink(name: "stuck") { _ in hang.wait() }.write([1]) }
        }
        try await eventually("all of them hang") { hangs.allSatisfy(\.hasBegun) }
        let written = Locked<[UInt8]>([])
        let sink = LineSink(name: "other") { written.set($0) }
        try await bounded("the other sink", by: .seconds(30)) { try await sink.write([1, 2]) }
        #expect(written.value == [1, 2])
        for hang in hangs { hang.end() }
        for task in stuck { try await task.value }
    }

    /// The turn of a sink that writes to a disk that hangs.
    @Test func whoWaitsAtTheGateForATurnThatHangs() async throws {
        let scratch = try Scratch()
        let spool = try Spool(path: scratch.file("spool"))
        let (thread, hang, isToHang) = (OwnThread(), Hang(), Flag())
        defer { hang.end() }
        let troubled = TroubledSpool(spool: spool) { call in
            if call == .load, isToHang.isSet { try await thread.run { hang.wait() } }
        }
        var limits = SpoolLimits()
        limits.messages = 1
        let gate = try await SpoolGate(
            spool: troubled, sinks: [], limits: limits,
            metrics: SpoolMetrics(factory: NOOPMetricsHandler.instance), logger: Logger(label: "test"))
        let one = SpoolLoad(messages: 1, bytes: 1)
        #expect(try await gate.enter(one))
        try spool.store(["1"])
        isToHang.set()
        let outcome = try await cancelled("the gate", once: { hang.hasBegun }) { try await gate.enter(one) }
        expectCancelled(outcome)
        hang.end()
        #expect(try spool.remove(through: 1) == 1)
        #expect(try await gate.enter(one))
    }

    @Test func aBell() async throws {
        let (bell, isThere) = (Doorbell(), Flag())
        let outcome = try await cancelled("a bell", once: { isThere.isSet }) {
            isThere.set()
            await bell.wait(atMost: nil)
        }
        try outcome.get()
    }

    // MARK: A broker

    private func settings(of server: RawServer) throws -> MQTTSettings {
        MQTTSettings(
            broker: try MQTTBroker(url: "mqtt://127.0.0.1:\(server.port)"), clientID: "me",
            up: try TopicTemplate("o/{device}/up"), status: try TopicTemplate("o/{device}/status"),
            gatewayTopic: "g")
    }

    /// One that takes a connection, if that, and acknowledges nothing else.
    private func silentBroker(takesConnection: Bool) throws -> RawServer {
        try RawServer({ _, _ in false }) { connection in
            var isNew = true
            while connection.read() != nil {
                // CONNACK
                if isNew, takesConnection { connection.write("\u{20}\u{03}\u{00}\u{00}\u{00}") }
                isNew = false
            }
        }
    }

    @Test func connectingToABrokerThatIsSilent() async throws {
        let server = try silentBroker(takesConnection: false)
        let settings = try settings(of: server)
        let outcome = try await cancelled("connecting", once: { server.connections == 1 }) {
            _ = try await MQTTConnection.open(settings) { _ in true }
        }
        expectCancelled(outcome)
        try await eventually("the connection is closed") { server.ended == 1 }
    }

    @Test func publishingToABrokerThatIsSilent() async throws {
        let server = try silentBroker(takesConnection: true)
        let connection = try await MQTTConnection.open(try settings(of: server)) { _ in true }
        let isThere = Flag()
        let published = try await cancelled("publishing", once: { isThere.isSet }) {
            isThere.set()
            try await connection.publish([MQTTPublication(topic: "t", payload: [1])])
        }
        expectCancelled(published)
        let ended = try await cancelled("the end of a connection", once: { true }) {
            await connection.whenEnded()
        }
        #expect(try ended.get() == "closed")
        try await eventually("the connection is closed") { server.ended == 1 }
    }

    @Test func aBrokerThatAcknowledgesNothingIsLeft() async throws {
        let server = try silentBroker(takesConnection: true)
        defer { withExtendedLifetime(server) {} }
        var settings = try settings(of: server)
        settings.patience = .milliseconds(200)
        let connection = try await MQTTConnection.open(settings) { _ in true }
        let error = await #expect(throws: SinkFailure.self) {
            try await connection.publish([MQTTPublication(topic: "t", payload: [1])])
        }
        #expect(error?.description.contains("acknowledges nothing within") == true)
        #expect(await connection.whenEnded() == "closed")
    }
}
