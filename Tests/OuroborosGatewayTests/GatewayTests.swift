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

    @Test func anAddressThatIsTakenIsAnError() async throws {
        try await site.withGateway([:], printed) { [site, printed] gateway in
            let taken = "127.0.0.1:\(gateway.address.port ?? 0)"
            let second = try await Gateway(
                site.settings([.bind: taken]), process: printed.process, logger: quiet)
            await #expect(throws: (any Error).self) { _ = try await second.open() }
        }
    }
}
