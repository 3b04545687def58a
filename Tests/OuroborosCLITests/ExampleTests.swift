import Foundation
import Subprocess
import TestSupport
import Testing

/// The examples, as their readers run them.
@Suite(.timeLimit(.minutes(6))) struct ExampleTests {
    let scratch: Scratch
    private let device = "0102030405060708"

    init() throws {
        scratch = try Scratch()
    }

    private func example(_ name: String, _ arguments: String...) async throws -> Tool.Outcome {
        try await Tool.run(Tool.built(name), arguments, in: scratch)
    }

    @Test func aSimpleClientAndASimpleServer() async throws {
        try await Tool.provision(device, in: scratch)
        let arguments = ["127.0.0.1:0", device, "root.key"]
        let status = try await RunningGateway.with(
            Tool.built("SimpleServer"), arguments, in: scratch
        ) { server in
            let client = try await example("SimpleClient", server.address, device, "root.key", "a", "b c")
            #expect(client.succeeded, "\(client.errors)")
            #expect(client.lines == ["got a", "got b c"])
            let lines = try await server.output.atLeast(3)
            #expect(lines.dropFirst() == ["\(device): a", "\(device): b c"])
            let stranger = try await example("SimpleClient", server.address, device, "none.key", "a")
            #expect(stranger.errors.contains("cannot read “none.key”"))
        }
        #expect(status == .exited(0))
    }

    @Test func anRPiSensor() async throws {
        try await Tool.provision(device, in: scratch)
        _ = try await RunningGateway.with(["--store", "gw.sqlite"], in: scratch) { gateway in
            let port = gateway.address.split(separator: ":").last.map(String.init) ?? ""
            let automatic = try await example(
                "RPiSensor", "127.0.0.1", port, device, "root.key", "0.02", "2")
            #expect(automatic.succeeded, "\(automatic.errors)")
            try scratch.write("21437\n", to: "in_temp_input")
            let i2c = try await example(
                "RPiSensor", "127.0.0.1", port, device, "root.key", "0", "1", "in_temp_input", "0.001")
            #expect(i2c.succeeded, "\(i2c.errors)")
            let texts = try await gateway.texts(3)
            #expect(texts.count == 3)
            #expect(texts.last == "{\"value\":21.437}")
        }
    }

    @Test func anAsyncClient() async throws {
        try await Tool.provision(device, in: scratch)
        _ = try await RunningGateway.with(["--fleet-key-file", "root.key"], in: scratch) { gateway in
            let client = try await example("AsyncClient", gateway.address, "root.key", "50", "4")
            #expect(client.succeeded, "\(client.errors)")
            #expect(client.output.hasPrefix("200 messages of 50 devices delivered"))
            #expect(try await Set(gateway.texts(200)).count == 200)
        }
    }

    @Test func aSleepySensor() async throws {
        try await Tool.provision(device, in: scratch)
        _ = try await RunningGateway.with(["--store", "gw.sqlite"], in: scratch) { gateway in
            let port = gateway.address.split(separator: ":").last.map(String.init) ?? ""
            func wake(_ text: String) async throws -> Tool.Outcome {
                try await example("SleepySensor", "127.0.0.1", port, device, "root.key", "session", text)
            }
            let first = try await wake("1")
            #expect(first.output == "delivered after 1 handshakes\n", "\(first.errors)")
            #expect(try scratch.mode(of: "session") == 0o600)
            for text in ["2", "3"] {
                #expect(try await wake(text).output == "delivered after 0 handshakes\n")
            }
            // One session in all.
            let messages = try await gateway.messages(3)
            #expect(Set(messages.compactMap { $0["session"] as? Int }).count == 1)
            // What is damaged, or lost, costs a handshake and nothing else.
            try scratch.write("what is this? it is no session", to: "session")
            #expect(try await wake("4").output == "delivered after 1 handshakes\n")
            #expect(try await gateway.texts(4) == ["1", "2", "3", "4"])
        }
    }

    private func overAPipe(gateway: String, device: String) async throws -> Tool.Outcome {
        let program = Tool.built("PipeSession")
        let script = """
            mkfifo back
            "$0" gateway \(gateway) <back 2>gateway.log | "$0" device \(device) a 'b c' >back
            """
        return try await Tool.run("/bin/bash", ["-c", script, program], in: scratch)
    }

    @Test func aSessionOverAPipe() async throws {
        try await Tool.provision(device, in: scratch)
        let both = "\(device) root.key"
        let outcome = try await overAPipe(gateway: both, device: both)
        #expect(outcome.succeeded, "\(outcome.errors)")
        #expect(outcome.errorLines == ["echo a", "echo b c"])
        #expect(try scratch.read("gateway.log") == "got a\ngot b c\nclosed, 0 missing\n")
    }

    @Test func aSessionOverAPipeUnderAnotherKey() async throws {
        try await Tool.provision(device, in: scratch)
        let stranger = try await Tool.run(["keygen", "--out", "other.key"], in: scratch)
        #expect(stranger.succeeded, "\(stranger.errors)")
        let outcome = try await overAPipe(gateway: "\(device) other.key", device: "\(device) root.key")
        #expect(outcome.status == .exited(1))
        #expect(outcome.errors == "PipeSession: the pipe ended before the session did\n")
        #expect(try scratch.read("gateway.log").contains("no HELLO of the device under this key"))
    }
}
