import Foundation
import LibC
import NIOCore
import NIOPosix
import Ouroboros
import OuroborosNIO
import Subprocess
import TestSupport
import Testing

/// SIGTERM ends the gateway soon, whatever hangs beside it.
@Suite(.serialized, .timeLimit(.minutes(6))) struct ShutdownTests {
    /// The gateway's 14 s, on a machine that is busy.
    private static let limit = Duration.seconds(30)

    private func expectEnd(of gateway: Victim, _ status: TerminationStatus) async throws {
        gateway.send(SIGTERM)
        let ended = try await bounded(
            "the end of the gateway after \(gateway.errors.all.suffix(3))", by: Self.limit
        ) {
            try await gateway.ended()
        }
        #expect(ended == status, "\(gateway.errors.all)")
    }

    /// Runs `body` beside a server that takes connections and says nothing; it gets its address.
    private func withSilentServer(_ body: (String) async throws -> Void) async throws {
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(to: try SocketAddress(ipAddress: "127.0.0.1", port: 0)).get()
        do {
            try await body("127.0.0.1:\(listener.localAddress?.port ?? 0)")
        } catch {
            try? await listener.close()
            throw error
        }
        try await listener.close()
    }

    private func address(of gateway: Victim) async throws -> String {
        "127.0.0.1:\(try await gateway.port(of: "listening on"))"
    }

    @Test func aFullSpoolBeforeACollectorThatHangs() async throws {
        let site = try await Site()
        try await withSilentServer { server in
            let gateway = try await site.gateway([
                "--spool-messages", "3", "--queue-per-device", "2", "--sink-http", "http://\(server)/",
            ])
            let (lines, input) = AsyncStream.makeStream(of: String.self)
            let sender = Victim(
                site.client("send", to: try await address(of: gateway)), in: site.scratch, input: lines)
            await sender.start()
            for number in 1...50 { input.yield("\(number)") }
            try await gateway.errors.first(containing: "the spool is full")
            try await expectEnd(of: gateway, .exited(0))
            input.finish()
            try await sender.killed()
        }
    }

    @Test func aBrokerThatHangs() async throws {
        let site = try await Site()
        try await withSilentServer { server in
            let gateway = try await site.gateway(["--sink-mqtt", "mqtt://\(server)"])
            let sent = try await Tool.run(
                site.client("send", to: try await address(of: gateway)) + ["--message", "x"], in: site.scratch
            )
            #expect(sent.succeeded, "\(sent.errors)")
            try await expectEnd(of: gateway, .exited(0))
        }
    }

    /// It has the pipe open, and does not read.
    @Test func aReaderThatHangs() async throws {
        let site = try await Site()
        let script = """
            mkfifo out && { sleep 40 <out >/dev/null 2>&1 & }
            exec "$0" gateway --store gw.sqlite --bind 127.0.0.1:0 >out
            """
        let gateway = Victim(["-c", script, Tool.path], executable: "/bin/sh", in: site.scratch)
        await gateway.start()
        let (lines, input) = AsyncStream.makeStream(of: String.self)
        let sender = Victim(
            site.client("send", to: try await address(of: gateway)) + ["--receipts"], in: site.scratch,
            input: lines)
        await sender.start()
        for _ in 1...200 { input.yield(String(repeating: "x", count: 1000)) }
        var before = -1
        try await eventually("nothing is acknowledged any more") {
            let now = sender.output.count
            defer { before = now }
            try await Task.sleep(for: .seconds(2))
            return now > 10 && now == before
        }
        try await expectEnd(of: gateway, .exited(1))
        #expect(gateway.errors.all.contains { $0.contains("standard output takes no more") })
        input.finish()
        try await sender.killed()
    }

    @Test func aDatabaseThatIsAway() async throws {
        try await PostgresCluster.with { cluster in
            let scratch = try Scratch()
            let device = FaultDevice(number: 0, hasOutbox: false)
            let fleet = try await FaultFleet(
                cluster, devices: [device], sinks: ["--metrics", "127.0.0.1:0"], gateways: 1, in: scratch)
            let gateway = fleet.gateways[0]
            let port = try await gateway.port(of: "listening on")
            try await scratch.connected(device.id, to: port) { connection in
                try await connection.send([1])
                try await cluster.stop()
                _ = try await connection.enqueue([2])
                try await eventually("the gateway has the message") {
                    try await gateway.sample("ouroboros_messages_received_total") == 2
                }
                try await expectEnd(of: gateway, .exited(1))
                await connection.closeAtOnce()
            }
            #expect(gateway.errors.all.contains { $0.contains("the registry takes no more") })
        }
    }
}
