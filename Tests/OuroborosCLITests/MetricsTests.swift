import Foundation
import FoundationNetworking
import Subprocess
import TestSupport
import Testing

/// What the gateway tells those who watch it.
@Suite(.timeLimit(.minutes(6))) struct MetricsTests {
    let scratch: Scratch
    private let device = "0102030405060708"

    init() throws {
        scratch = try Scratch()
    }

    private func send(_ gateway: RunningGateway, _ more: String...) async throws -> Tool.Outcome {
        try await Tool.run(
            ["send", "--to", gateway.address, "--device", device, "--root-key-file", "root.key"] + more,
            in: scratch)
    }

    @Test func aScrape() async throws {
        try await Tool.provision(device, in: scratch)
        let arguments = ["--store", "gw.sqlite", "--metrics", "127.0.0.1:0", "--echo"]
        let status = try await RunningGateway.with(arguments, in: scratch) { gateway in
            let (before, first) = try await gateway.get("metrics")
            #expect(before.statusCode == 200)
            #expect(
                before.value(forHTTPHeaderField: "Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
            )
            // What has not happened is there, as 0.
            let zeros = try PrometheusText(first)
            #expect(zeros.samples["ouroboros_messages_received_total"] == 0)
            #expect(zeros.samples["ouroboros_drops_total{reason=\"replay\"}"] == 0)
            #expect(zeros.samples["ouroboros_messages_stalled_total"] == 0)

            #expect(try await send(gateway, "--message", "hello").succeeded)
            let stranger = try await Tool.run(
                [
                    "send", "--to", gateway.address, "--device", "00000000000000ff", "--root-key-file",
                    "root.key", "--message", "hi", "--timeout", "200ms",
                ], in: scratch)
            #expect(!stranger.succeeded)
            try await eventually("the stranger is counted") {
                let (_, text) = try await gateway.get("metrics")
                return try PrometheusText(text).samples["ouroboros_unknown_devices_total"] ?? 0 >= 1
            }
            let (_, second) = try await gateway.get("metrics")
            let metrics = try PrometheusText(second)
            #expect(metrics.samples["ouroboros_messages_received_total"] == 1)
            #expect(metrics.samples["ouroboros_message_bytes_received_total"] == 5)
            #expect(metrics.samples["ouroboros_handshakes_total"] == 1)
            #expect(metrics.samples["ouroboros_packets_received_total"].map { $0 >= 1 } == true)
            #expect(metrics.types["ouroboros_round_trip_seconds"] == "histogram")
            #expect(metrics.types["ouroboros_sessions"] == "gauge")
            let build = try #require(
                metrics.samples.keys.compactMap {
                    $0.wholeMatch(of: /ouroboros_build_info\{commit="(.+)",version="(.+)"\}/)
                }.first)
            let version = try await Tool.run(["--version"], in: scratch)
            #expect(version.output == "ouroboros \(build.2) (commit \(build.1))\n")
            // Their number must not grow with the fleet.
            #expect(!second.contains(device))

            let (health, answer) = try await gateway.get("healthz")
            #expect(health.statusCode == 200)
            #expect(answer == "ok\n")
            #expect(try await gateway.get("nothing").0.statusCode == 404)
        }
        #expect(status == .exited(0))
    }

    @Test func aPortThatIsTaken() async throws {
        try await Tool.provision(device, in: scratch)
        let arguments = ["--store", "gw.sqlite", "--metrics", "127.0.0.1:0"]
        _ = try await RunningGateway.with(arguments, in: scratch) { gateway in
            let port = try await gateway.metricsPort()
            let other = try await Tool.run(
                [
                    "gateway", "--bind", "127.0.0.1:0", "--store", "gw.sqlite", "--metrics",
                    "127.0.0.1:\(port)",
                ],
                in: scratch)
            #expect(other.status == .exited(1))
            #expect(other.errors.contains("error: cannot serve metrics on 127.0.0.1:\(port)"))
        }
    }

    @Test func logsHoldNeitherKeysNorMessages() async throws {
        try await Tool.provision(device, in: scratch)
        let arguments = ["--store", "gw.sqlite", "--log-level", "trace"]
        _ = try await RunningGateway.with(arguments, in: scratch) { gateway in
            let sent = try await send(gateway, "--message", "a-secret-message", "--log-level", "trace")
            #expect(sent.succeeded)
            let connected = try await gateway.errors.first(containing: "connected")
            // All of it is in the log.
            try await gateway.errors.first(containing: "disconnected")
            #expect(connected.contains("device=\(device)"))
            #expect(connected.contains("session="))
            #expect(sent.errors.contains("device=\(device)"))
            let key = try scratch.read("root.key").prefix(64)
            for log in [sent.errors, gateway.errors.all.joined(separator: "\n")] {
                #expect(!log.contains("a-secret-message"))
                #expect(!log.contains(key))
            }
        }
    }
}
