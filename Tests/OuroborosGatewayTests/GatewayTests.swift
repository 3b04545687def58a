import InMemoryLogging
import Logging
import NIOCore
import Ouroboros
import OuroborosNIO
import OuroborosStore
import TestSupport
import Testing

@testable import OuroborosGateway

/// The gateway in this process, on loopback.
@Suite(.timeLimit(.minutes(1))) struct GatewayTests {
    let site: Site
    let printed = Printed()
    let device = DeviceID(number: 0x0102_0304_0506_0708)

    init() throws {
        site = try Site()
    }

    @Test func aReadingIsPrintedBeforeItIsAcknowledged() async throws {
        try await site.withGateway([:], printed) { [site, printed, device] gateway in
            for number in 1...3 {
                try await site.send("reading \(number)", from: device, to: gateway)
                #expect(printed.lines.count == number)
            }
        }
        for (line, number) in zip(printed.lines, 1...) {
            #expect(line.contains(#""device":"0102030405060708""#), "\(line)")
            #expect(line.contains(#""text":"reading \#(number)""#), "\(line)")
        }
        #expect(printed.lines.count == 3)
        #expect(printed.givenUp == [])
    }

    /// One way to standard output: a sink prints what the spool has, with its id, all of it before the gateway ends.
    @Test func aReadingOfTheSpoolIsPrintedByTheSink() async throws {
        let spool = site.scratch.file("spool.sqlite")
        try await site.withGateway([.spool: spool, .sinkStdout: "true"], printed) {
            [site, device] gateway in
            try await site.send("stored", from: device, to: gateway)
        }
        #expect(printed.lines.count == 1)
        #expect(printed.lines.first?.hasPrefix(#"{"id":1,"#) == true, "\(printed.lines)")
        #expect(printed.lines.first?.contains(#""text":"stored""#) == true, "\(printed.lines)")
        #expect(try Spool(path: spool).messages(after: 0, limit: 10).map(\.payload) == [Array("stored".utf8)])
    }

    /// What is not written is not acknowledged: the device keeps it, and the gateway ends with the reason.
    @Test func whatCannotBePrintedIsNotAcknowledged() async throws {
        struct Full: Error {}
        let process = GatewayProcess(print: { _ in throw Full() }, giveUp: { _ in })
        let gateway = try await Gateway(site.settings(), process: process, logger: quiet).open()
        let running = Task { try await gateway.run() }
        await #expect(throws: OuroborosError.self) {
            try await site.send("lost", from: device, to: gateway.endpoints[0])
        }
        await #expect(throws: Full.self) { try await running.value }
    }

    /// However slow the log is.
    @Test func eachDeviceThatComesAndGoesIsTold() async throws {
        let log = InMemoryLogHandler()
        let logger = Logger(label: "test") { _ in SlowLog(log) }
        try await site.withGateway([:], printed, logger: logger) { [site] gateway in
            var connections: [OuroborosConnection] = []
            for number in UInt64(1)...100 {
                let connection = try await OuroborosClient.connect(
                    to: gateway,
                    credential: .fixed(device: DeviceID(number: number), fleetKey: site.fleetKey))
                try await connection.send([1])
                connections.append(connection)
            }
            #expect(connections.count == 100)
        }
        for word in ["connected", "disconnected"] {
            #expect(log.entries.count { $0.message.description == word } == 100)
        }
    }

    @Test func anAddressThatIsTakenIsAnError() async throws {
        try await site.withGateway([:], printed) { [site, printed] gateway in
            let taken = "127.0.0.1:\(gateway.address.port ?? 0)"
            let second = try await Gateway(
                site.settings([.bind: taken]), process: printed.process, logger: quiet)
            await #expect(throws: (any Error).self) { _ = try await second.open() }
        }
    }

    /// A spool that another process holds makes devices wait, and nothing else.
    @Test func whileTheSpoolIsHeldDevicesWait() async throws {
        let spool = site.scratch.file("spool.sqlite")
        try await site.withGateway([.spool: spool], printed) { [site, printed, device] gateway in
            try await site.send("before", from: device, to: gateway)
            let lock = try HeldLock(spool)
            let isSent = Flag()
            async let sending: Void = {
                try await site.send("held", from: device, to: gateway)
                isSent.set()
            }()
            // Longer than SQLite itself waits.
            try await Task.sleep(for: .seconds(3))
            #expect(!isSent.isSet)
            try lock.release()
            try await sending
            #expect(printed.lines.count == 2)
        }
        #expect(printed.givenUp == [])
    }

    @Test func aGatewayWhoseSpoolIsHeldStartsOnceItIsFree() async throws {
        let spool = site.scratch.file("spool.sqlite")
        _ = try Spool(path: spool)
        let lock = try HeldLock(spool)
        let log = InMemoryLogHandler()
        let gateway = try await Gateway(
            site.settings([.spool: spool]), process: printed.process,
            logger: Logger(label: "test") { _ in log })
        let opening = Task { try await gateway.open() }
        try await eventually("it is told") {
            log.entries.contains { $0.message.description.contains("in use by another process") }
        }
        try lock.release()
        _ = try await bounded("the start", by: .seconds(30)) { try await opening.value }
    }

    @Test func aDamagedSpoolEndsTheStartWithWhatToDo() async throws {
        try site.scratch.write("this is no database, and so it says, at some length", to: "spool.sqlite")
        let gateway = try await Gateway(
            site.settings([.spool: site.scratch.file("spool.sqlite")]), process: printed.process,
            logger: quiet)
        let error = await #expect(throws: OuroborosError.self) { try await gateway.open() }
        #expect(error?.message.contains("name another file") == true)
    }
}
