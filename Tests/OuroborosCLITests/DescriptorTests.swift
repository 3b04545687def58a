import Foundation
import LibC
import NIOCore
import NIOPosix
import TestSupport
import Testing

/// A gateway without a descriptor left: it says so, goes on with what it has, and does not spin.
@Suite(.timeLimit(.minutes(3))) struct DescriptorTests {
    let site: Site

    init() async throws {
        site = try await Site()
    }

    /// Processor time so far, in seconds.
    private static func processorTime(of gateway: Victim) throws -> Double {
        let text = try String(contentsOfFile: gateway.entry("stat"), encoding: .utf8)
        // After the name: user and system time are the 12th and the 13th (proc(5)).
        let times = text.split(separator: ")").last?.split(separator: " ").dropFirst(11).prefix(2) ?? []
        let ticks = times.compactMap { Double($0) }
        try #require(ticks.count == 2)
        return (ticks[0] + ticks[1]) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    private func send(to address: String) async throws -> Bool {
        try await Tool.run(
            site.client("send", "--message", "x", "--timeout", "5s", to: address), in: site.scratch
        ).succeeded
    }

    @Test func acceptingPausesAndEverythingElseGoesOn() async throws {
        let gateway = Victim(
            [
                "-c",
                """
                ulimit -n 48; exec "$0" gateway --store gw.sqlite --bind 127.0.0.1:0 --bind tcp://127.0.0.1:0 \
                --metrics 127.0.0.1:0
                """, Tool.path,
            ], executable: "/bin/sh", in: site.scratch)
        await gateway.start()
        try await gateway.errors.first(containing: "fewer than max-streams allows")
        let metrics = try await gateway.errors.port(after: "metrics on")
        let stream = try await gateway.errors.port(after: "(TCP)")
        let datagrams = try #require(
            gateway.errors.all.first { $0.contains("listening on") && !$0.contains("(TCP)") }?
                .split(separator: " ").last)
        let begin = ContinuousClock.now
        // More than there are descriptors, some at each of the two servers: both are to pause.
        var guests: [any Channel] = []
        for _ in 0..<100 { guests.append(try await connect(stream)) }
        for _ in 0..<10 { guests.append(try await connect(metrics)) }
        let told = try await gateway.errors.first(containing: "TCP connections are not accepted for now")
        #expect(told.contains("all 48 files and sockets") && told.contains("LimitNOFILE"))
        try await gateway.errors.first(containing: "metrics: TCP connections are not accepted")
        let before = try Self.processorTime(of: gateway)
        try await Task.sleep(for: .seconds(3))
        let spent = try Self.processorTime(of: gateway) - before
        #expect(spent < 0.5, "\(spent) s of 3 s")
        #expect(try await send(to: "127.0.0.1:\(datagrams)"))
        for guest in guests { try await guest.close() }
        try await eventually("connections are accepted again", within: .seconds(30)) {
            try await send(to: "tcp://127.0.0.1:\(stream)")
        }
        let lines = gateway.errors.all.filter { $0.contains("TCP connections are not accepted for now") }
        // Of each server once a minute.
        #expect(lines.count <= 2 * (1 + Int((ContinuousClock.now - begin) / .seconds(60))))
        try await gateway.killed()
    }

    private func connect(_ port: Int) async throws -> any Channel {
        try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(host: "127.0.0.1", port: port).get()
    }
}
