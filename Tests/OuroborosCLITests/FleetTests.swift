import Foundation
import Subprocess
import TestSupport
import Testing

/// `fleet` against a gateway: what it counts is what came. Nothing here asserts on speed.
@Suite(.timeLimit(.minutes(5))) struct FleetTests {
    let scratch: Scratch

    init() throws {
        scratch = try Scratch()
    }

    private func fleet(_ gateway: String, _ arguments: [String]) async throws -> Tool.Outcome {
        try await Tool.run(
            ["fleet", "--to", gateway, "--fleet-key-file", "fleet.key", "--json"] + arguments, in: scratch)
    }

    private func result(_ outcome: Tool.Outcome) throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any])
    }

    private func makeKey() async throws {
        #expect(try await Tool.run(["keygen", "--out", "fleet.key"], in: scratch).succeeded)
    }

    @Test func fiftyDevices() async throws {
        try await makeKey()
        _ = try await RunningGateway.with(["--fleet-key-file", "fleet.key"], in: scratch) { gateway in
            let load = [
                "--devices", "50", "--rate", "100", "--seconds", "2", "--size", "20", "--sockets", "3",
            ]
            let outcome = try await fleet(gateway.address, load + ["--device", "00000000000000a0"])
            #expect(outcome.succeeded, "\(outcome.errors)")
            let result = try result(outcome)
            #expect(result["connected"] as? Int == 50 && result["not_connected"] as? Int == 0)
            #expect(result["sockets"] as? Int == 3)
            #expect(result["unknown"] as? Int == 0 && result["failed"] as? Int == 0)
            #expect(result["reconnects"] as? Int == 0)
            #expect(try #require(result["bytes_per_device"] as? Int) > 0)
            let times = try ["min_us", "p50_us", "p99_us", "max_us"].map {
                try #require(result[$0] as? Double)
            }
            #expect(times == times.sorted() && times[0] > 0)
            // Each sends 4 times on average; the first within its first half second, the pauses 0.25 to 0.75 s.
            let delivered = try #require(result["delivered"] as? Int)
            let messages = try await gateway.messages(delivered)
            #expect(messages.count == delivered && delivered >= 50)
            #expect(messages.allSatisfy { ($0["text"] as? String)?.count == 20 })
            let devices = Set(messages.compactMap { $0["device"] as? String })
            #expect(devices.count == 50 && devices.min() == "00000000000000a0")
        }
    }

    @Test func aSignalEndsItWithTheReport() async throws {
        try await makeKey()
        _ = try await RunningGateway.with(["--fleet-key-file", "fleet.key"], in: scratch) { gateway in
            let load = Victim(
                [
                    "fleet", "--to", gateway.address, "--fleet-key-file", "fleet.key", "--devices", "5",
                    "--rate", "50", "--seconds", "600", "--json",
                ], in: scratch)
            await load.start()
            _ = try await gateway.messages(1)
            load.send(SIGINT)
            #expect(try await load.ended() == .exited(0), "\(load.errors.all)")
            let result = try #require(objects(load.output.all).first)
            let delivered = try #require(result["delivered"] as? Int)
            #expect(delivered > 0)
            #expect(try await gateway.messages(delivered).count == delivered)
        }
    }

    @Test func theWrongKey() async throws {
        try await makeKey()
        #expect(try await Tool.run(["keygen", "--out", "other.key"], in: scratch).succeeded)
        _ = try await RunningGateway.with(["--fleet-key-file", "other.key"], in: scratch) { gateway in
            let outcome = try await fleet(
                gateway.address, ["--devices", "3", "--seconds", "100ms", "--connect-timeout", "500ms"])
            #expect(outcome.status == .exited(1))
            #expect(outcome.errors.contains("3 devices did not connect"))
            #expect(try result(outcome)["connected"] as? Int == 0)
        }
    }

    @Test func badSettingsAreToldApart() async throws {
        try await makeKey()
        func error(_ arguments: String...) async throws -> String {
            let outcome = try await fleet("127.0.0.1:1", arguments)
            #expect(!outcome.succeeded)
            return outcome.errors
        }
        #expect(try await error("--devices", "0").contains("--devices is 1 to 100000, not 0"))
        #expect(try await error("--size", "1201").contains("--size is 1 to 1200, not 1201"))
        #expect(try await error("--rate", "0").contains("--rate is above 0"))
        #expect(try await error("--sockets", "0").contains("--sockets is 1 to 1000, not 0"))
        #expect(try await error("--device", "12").contains("16 hexadecimal digits"))
        let stream = try await fleet("tcp://127.0.0.1:1", [])
        #expect(stream.errors.contains("a fleet shares UDP sockets"))
    }
}
