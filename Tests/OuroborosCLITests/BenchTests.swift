import Foundation
import TestSupport
import Testing

/// `bench` in process and against a gateway: what it counts is what was sent. Nothing here asserts on speed.
@Suite(.timeLimit(.minutes(5))) struct BenchTests {
    let scratch: Scratch

    init() throws {
        scratch = try Scratch()
    }

    private func bench(_ arguments: [String]) async throws -> [String: Any] {
        let outcome = try await Tool.run(
            ["bench", "--json", "--warm-up", "50ms"] + arguments, in: scratch)
        #expect(outcome.succeeded, "\(outcome.errors)")
        return try #require(
            try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any])
    }

    /// Quantiles in order, rate and time in agreement.
    private func check(_ result: [String: Any], messages: Int?) throws {
        let count = try #require(result["messages"] as? Int)
        if let messages { #expect(count == messages) }
        #expect(count > 0)
        let names = ["min_us", "p50_us", "p90_us", "p99_us", "p99_9_us", "max_us"]
        let times = try names.map { try #require(result[$0] as? Double) }
        #expect(times == times.sorted())
        #expect(times[0] > 0)
        let seconds = try #require(result["seconds"] as? Double)
        let rate = try #require(result["messages_per_second"] as? Double)
        #expect(abs(rate * (seconds + 0.001) - Double(count)) <= rate * 0.002 + 1)
    }

    @Test(arguments: ["udp", "tcp"], [false, true])
    func inProcess(transport: String, echoes: Bool) async throws {
        let load = ["--messages", "301", "--clients", "3", "--in-flight", "4", "--size", "100"]
        let result = try await bench(load + ["--transport", transport] + (echoes ? ["--echo"] : []))
        try check(result, messages: 301)
        #expect(result["transport"] as? String == transport)
        #expect(result["timed"] as? String == (echoes ? "echo" : "delivery"))
        #expect(result["clients"] as? Int == 3 && result["size"] as? Int == 100)
    }

    @Test func forATime() async throws {
        let result = try await bench(["--seconds", "200ms"])
        try check(result, messages: nil)
        #expect(try #require(result["seconds"] as? Double) >= 0.2)
    }

    @Test func againstAGateway() async throws {
        #expect(try await Tool.run(["keygen", "--out", "fleet.key"], in: scratch).succeeded)
        _ = try await RunningGateway.with(["--fleet-key-file", "fleet.key", "--echo"], in: scratch) {
            gateway in
            let result = try await bench([
                "--gateway", gateway.address, "--device", "00000000000000f0", "--fleet-key-file", "fleet.key",
                "--clients", "2", "--in-flight", "2", "--messages", "64", "--echo",
            ])
            try check(result, messages: 64)
            // The gateway took at least what was counted; the warm-up's messages come on top.
            let devices = Set(try await gateway.messages(64).compactMap { $0["device"] as? String })
            #expect(devices == ["00000000000000f0", "00000000000000f1"])
        }
    }

    @Test func badSettingsAreToldApart() async throws {
        func error(_ arguments: String...) async throws -> String {
            let outcome = try await Tool.run(["bench"] + arguments, in: scratch)
            #expect(!outcome.succeeded)
            return outcome.errors
        }
        #expect(try await error("--size", "0").contains("--size is 1 to 1200, not 0"))
        #expect(try await error("--size", "4", "--echo").contains("--size is 8 to 1200, not 4"))
        #expect(try await error("--messages", "5", "--seconds", "1").contains("one of them"))
        #expect(try await error("--device", "0102030405060708").contains("give --gateway too"))
        #expect(try await error("--gateway", "127.0.0.1:1").contains("give --device"))
        #expect(
            try await error("--gateway", "127.0.0.1:1", "--device", "0102030405060708", "--clients", "2")
                .contains("give --fleet-key-file"))
    }
}
