import Foundation
import Subprocess
import TestSupport
import Testing

/// What keeps a device from being served stands in the gateway's log, with the device's id, once a minute at most.
@Suite(.timeLimit(.minutes(6))) struct ToldTests {
    let scratch: Scratch
    private let device = "0102030405060708"

    init() throws {
        scratch = try Scratch()
    }

    private func send(_ gateway: RunningGateway, _ device: String, _ more: String...) async throws
        -> Tool.Outcome
    {
        try await Tool.run(
            ["send", "--to", gateway.address, "--device", device, "--timeout", "500ms"] + more, in: scratch)
    }

    /// One line with the text names this device.
    private func expectTold(_ text: String, of device: String, by gateway: RunningGateway) async throws {
        let line = try await gateway.errors.first(containing: text)
        #expect(line.contains("device=\(device)") || line.contains("device: \(device)"), "\(line)")
        #expect(gateway.errors.all.filter { $0.contains(text) }.count == 1)
    }

    @Test(arguments: ["", "tcp://"]) func devicesThatCannotConnect(transport: String) async throws {
        try await Tool.provision(device, in: scratch)
        #expect(try await Tool.run(["keygen", "--out", "other.key"], in: scratch).succeeded)
        let arguments = ["gateway", "--store", "gw.sqlite", "--bind", "\(transport)127.0.0.1:0"]
        _ = try await RunningGateway.with(Tool.path, arguments, in: scratch) { gateway in
            let to = "\(transport)\(gateway.address)"
            for _ in 1...2 {
                for (id, key) in [("1111111111111111", "root.key"), (device, "other.key")] {
                    let sent = try await Tool.run(
                        [
                            "send", "--to", to, "--device", id, "--root-key-file", key, "--message", "x",
                            "--timeout", "500ms",
                        ], in: scratch)
                    #expect(!sent.succeeded)
                }
            }
            try await expectTold("a device that is not known here", of: "1111111111111111", by: gateway)
            try await expectTold("has another key than the one here", of: device, by: gateway)
        }
    }

    @Test func aCredentialOfTheOtherKind() async throws {
        try await Tool.provision(device, in: scratch)
        _ = try await RunningGateway.with(["--store", "gw.sqlite"], in: scratch) { gateway in
            for _ in 1...2 {
                let sent = try await send(
                    gateway, device, "--root-key-file", "root.key", "--evolving", "--state", "state",
                    "--message", "x")
                #expect(!sent.succeeded)
            }
            try await expectTold(
                "the device has its credential as evolving, and here it is fixed", of: device, by: gateway)
        }
    }

    @Test func aStateThatWasCopied() async throws {
        try await Tool.provision(device, ["--evolving"], in: scratch)
        _ = try await RunningGateway.with(["--store", "gw.sqlite"], in: scratch) { gateway in
            let state = ["--evolving", "--message", "x", "--root-key-file", "root.key", "--state"]
            for (number, file) in ["a", "a", "b", "b"].enumerated() {
                if number == 1 {
                    try scratch.copy("a", to: "b")
                }
                let sent = try await Tool.run(
                    ["send", "--to", gateway.address, "--device", device, "--timeout", "1s"] + state + [file],
                    in: scratch)
                #expect(sent.succeeded == (file == "a"), "\(sent.errors)")
            }
            try await expectTold("the device is at an epoch that was left", of: device, by: gateway)
        }
    }

    @Test func anOutboxThatWasCopied() async throws {
        try await Tool.provision(device, in: scratch)
        let arguments = ["--store", "gw.sqlite", "--spool", "spool"]
        _ = try await RunningGateway.with(arguments, in: scratch) { gateway in
            func send(_ text: String, _ outbox: String) async throws {
                let sent = try await self.send(
                    gateway, device, "--root-key-file", "root.key", "--outbox", outbox, "--message", text)
                #expect(sent.succeeded, "\(sent.errors)")
            }
            try await send("first", "a")
            try scratch.copy("a", to: "b")
            // What is the same may be a repeat.
            try await send("same", "a")
            try await send("same", "b")
            #expect(!gateway.errors.all.contains { $0.contains("a copy of one outbox") })
            for number in 1...2 {
                try await send("a\(number)", "a")
                try await send("b\(number)", "b")
            }
            try await expectTold("two devices have a copy of one outbox", of: device, by: gateway)
        }
    }

    @Test func streamsAboveTheLimit() async throws {
        try await Tool.provision(device, in: scratch)
        let arguments = [
            "gateway", "--store", "gw.sqlite", "--bind", "tcp://127.0.0.1:0", "--streams-per-address", "1",
        ]
        _ = try await RunningGateway.with(Tool.path, arguments, in: scratch) { gateway in
            let (lines, input) = AsyncStream.makeStream(of: String.self)
            defer { input.finish() }
            let client = [
                "send", "--to", "tcp://\(gateway.address)", "--device", device, "--root-key-file", "root.key",
            ]
            let holder = Victim(client, in: scratch, input: lines)
            await holder.start()
            input.yield("a")
            #expect(try await gateway.texts(1) == ["a"])
            for _ in 1...2 {
                let refused = try await Tool.run(client + ["--message", "b", "--timeout", "1s"], in: scratch)
                #expect(!refused.succeeded)
            }
            let line = try await gateway.errors.first(
                containing: "a TCP connection from 127.0.0.1 is refused")
            #expect(line.contains("1 came from there (streams-per-address)"), "\(line)")
            #expect(gateway.errors.all.filter { $0.contains("is refused") }.count == 1)
        }
    }
}
