import Foundation
import Subprocess
import SystemPackage
import TestSupport
import Testing

/// The calls as the documentation has them.
@Suite(.timeLimit(.minutes(6))) struct MainJobTests {
    let scratch: Scratch
    private let device = "0102030405060708"

    init() throws {
        scratch = try Scratch()
    }

    private func prepare(_ more: String...) async throws {
        try await Tool.provision(device, ["--name", "kitchen"] + more, in: scratch)
    }

    private func client(_ command: String, _ gateway: RunningGateway) -> [String] {
        [command, "--to", gateway.address, "--device", device, "--root-key-file", "root.key"]
    }

    @Test func aKeyIs64DigitsInAPrivateFile() async throws {
        try await prepare()
        let key = try scratch.read("root.key")
        #expect(key.count == 65)
        #expect(key.last == "\n")
        #expect(key.dropLast().allSatisfy { $0.isHexDigit })
        #expect(try scratch.mode(of: "root.key") == 0o600)
        #expect(try scratch.mode(of: "gw.sqlite") == 0o600)
        let again = try await Tool.run(["keygen", "--out", "root.key"], in: scratch)
        #expect(!again.succeeded)
        #expect(try scratch.read("root.key") == key)
        let printed = try await Tool.run(["keygen"], in: scratch)
        #expect(printed.output.count == 65)
        #expect(printed.output != key)
    }

    @Test func devicesAreListedAndRemoved() async throws {
        try await prepare()
        let list = try await Tool.run(["device", "list", "--store", "gw.sqlite"], in: scratch)
        let fields = list.output.trimmingCharacters(in: .newlines).split(separator: "\t")
        #expect(fields.count == 5)
        #expect(fields.first == "0102030405060708")
        #expect(fields.last == "kitchen")
        let remove = ["device", "remove", "--store", "gw.sqlite", "--device", device]
        #expect(try await Tool.run(remove, in: scratch).succeeded)
        #expect(try await Tool.run(["device", "list", "--store", "gw.sqlite"], in: scratch).output == "")
        #expect(try await !Tool.run(remove, in: scratch).succeeded)
    }

    @Test(arguments: [Signal.terminate, .interrupt])
    func linesTravel(signal: Signal) async throws {
        try await prepare()
        let status = try await RunningGateway.with(
            ["--store", "gw.sqlite", "--echo"], in: scratch, signal: signal
        ) { gateway in
            let sent = try await Tool.run(client("send", gateway), in: scratch, input: "a\nb\n")
            #expect(sent.succeeded, "\(sent.errors)")
            #expect(sent.errors.contains("2 of 2 delivered"))
            #expect(sent.output == "")
            // It was written before it was acknowledged.
            let messages = try await gateway.messages(2)
            #expect(messages.map { $0["text"] as? String } == ["a", "b"])
            #expect(messages.allSatisfy { $0["device"] as? String == device })
            #expect(messages.map { $0["counter"] as? Int } == [0, 1])
            #expect(messages.allSatisfy { ($0["time"] as? String)?.hasSuffix("Z") == true })
            #expect(messages[0]["session"] as? Int == messages[1]["session"] as? Int)
        }
        #expect(status == .exited(0))
    }

    @Test func aGatewayListensOnStreamsToo() async throws {
        try await prepare()
        _ = try await RunningGateway.with(
            Tool.path, ["gateway", "--store", "gw.sqlite", "--bind", "tcp://127.0.0.1:0"], in: scratch
        ) { gateway in
            let sent = try await Tool.run(
                [
                    "send", "--to", "tcp://\(gateway.address)", "--device", device, "--root-key-file",
                    "root.key",
                ], in: scratch, input: "a\nb\n")
            #expect(sent.succeeded, "\(sent.errors)")
            #expect(try await gateway.texts(2) == ["a", "b"])
        }
    }

    @Test func pingMeasures() async throws {
        try await prepare()
        _ = try await RunningGateway.with(["--store", "gw.sqlite"], in: scratch) { gateway in
            let ping = try await Tool.run(
                client("ping", gateway) + ["--count", "5", "--interval", "20ms"], in: scratch)
            #expect(ping.succeeded, "\(ping.errors)")
            #expect(ping.lines.count == 7)
            #expect(ping.output.contains("5 sent, 5 answered"))
            #expect(ping.output.contains("min/avg/max = "))
        }
    }

    @Test func aSensorSendsReadings() async throws {
        try await prepare()
        _ = try await RunningGateway.with(["--store", "gw.sqlite"], in: scratch) { gateway in
            let sensor = try await Tool.run(
                client("sensor", gateway) + ["--interval", "50ms", "--count", "3"], in: scratch)
            #expect(sensor.succeeded, "\(sensor.errors)")
            let texts = try await gateway.texts(3)
            #expect(texts.count == 3)
            for text in texts {
                let reading = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
                #expect(reading?["celsius"] != nil || reading?["load"] != nil)
            }
            let command = try await Tool.run(
                client("sensor", gateway) + ["--count", "1", "--command", "echo 21.5"], in: scratch)
            #expect(command.succeeded, "\(command.errors)")
            #expect(try await gateway.texts(4).last == "21.5")
        }
    }

    @Test func aSensorEndsGracefully() async throws {
        try await prepare()
        _ = try await RunningGateway.with(["--store", "gw.sqlite"], in: scratch) { gateway in
            let sensor = Victim(client("sensor", gateway) + ["--interval", "20ms"], in: scratch)
            await sensor.start()
            _ = try await gateway.messages(3)
            sensor.send(SIGTERM)
            #expect(try await sensor.ended() == .exited(0))
            #expect(sensor.errors.all.contains { $0.contains("delivered") }, "\(sensor.errors.all)")
            try await gateway.errors.first(containing: "disconnected")
        }
    }

    @Test func anEvolvingCredentialLivesInItsState() async throws {
        try await prepare("--evolving")
        let (scratch, device) = (scratch, device)
        for round in 1...2 {
            // The gateway starts anew each time.
            _ = try await RunningGateway.with(["--store", "gw.sqlite"], in: scratch) { gateway in
                let first = try await Tool.run(
                    client("send", gateway) + [
                        "--evolving", "--state", "kitchen.state", "--message", "hi",
                    ], in: scratch)
                #expect(first.succeeded, "\(first.errors)")
                // Said once.
                #expect(first.errors.contains("may be deleted") == (round == 1))
                // The root key is not needed any more.
                let second = try await Tool.run(
                    [
                        "send", "--to", gateway.address, "--device", device, "--evolving", "--state",
                        "kitchen.state", "--message", "again",
                    ], in: scratch)
                #expect(second.succeeded, "\(second.errors)")
                #expect(try await gateway.texts(2) == ["hi", "again"])
            }
        }
        #expect(try scratch.mode(of: "kitchen.state") == 0o600)
        let list = try await Tool.run(["device", "list", "--store", "gw.sqlite"], in: scratch)
        #expect(list.output.contains("evolving\t4\t"))
    }

    @Test func aFleetNeedsNoList() async throws {
        #expect(try await Tool.run(["keygen", "--out", "fleet.key"], in: scratch).succeeded)
        let derive = ["keygen", "--fleet-key-file", "fleet.key", "--device", device, "--out", "root.key"]
        #expect(try await Tool.run(derive, in: scratch).succeeded)
        _ = try await RunningGateway.with(["--fleet-key-file", "fleet.key"], in: scratch) { gateway in
            let sent = try await Tool.run(client("send", gateway) + ["--message", "hi"], in: scratch)
            #expect(sent.succeeded, "\(sent.errors)")
        }
    }

    @Test func bytesThatAreNoTextComeAsBase64() async throws {
        try await prepare()
        _ = try await RunningGateway.with(["--store", "gw.sqlite"], in: scratch) { gateway in
            let sent = try await Tool.run(
                "/bin/sh",
                [
                    "-c", "printf '\\377\\000\\n\"\\\\\\t\\001\\n' | \"$0\" \"$@\"", Tool.path,
                ] + client("send", gateway), in: scratch)
            #expect(sent.succeeded, "\(sent.errors)")
            let messages = try await gateway.messages(2)
            #expect(messages.first?["base64"] as? String == "/wA=")
            #expect(messages.last?["text"] as? String == "\"\\\t\u{1}")
        }
    }

    @Test func whatIsNotWrittenIsNotAcknowledged() async throws {
        try await prepare()
        let gateway = Victim(
            ["-c", "exec \"$0\" gateway --store gw.sqlite --bind 127.0.0.1:0 >/dev/full", Tool.path],
            executable: "/bin/sh", in: scratch)
        await gateway.start()
        let sent = try await Tool.run(
            [
                "send", "--to", "127.0.0.1:\(try await gateway.port(of: "listening on"))", "--device",
                device, "--root-key-file", "root.key", "--message", "hi",
            ], in: scratch)
        #expect(sent.status == .exited(1))
        #expect(sent.errors.contains("0 of 1 delivered, 1 unknown"), "\(sent.errors)")
        #expect(try await gateway.ended() == .exited(1))
        let errors = gateway.errors.all
        #expect(errors.contains { $0.contains("cannot write to standard output") }, "\(errors)")
    }

    @Test func aDeviceThatIsRemovedIsCutOff() async throws {
        try await prepare()
        let arguments = ["--store", "gw.sqlite", "--metrics", "127.0.0.1:0"]
        _ = try await RunningGateway.with(arguments, in: scratch) { gateway in
            let sent = try await Tool.run(client("send", gateway) + ["--message", "hi"], in: scratch)
            #expect(sent.succeeded)
            let remove = ["device", "remove", "--store", "gw.sqlite", "--device", device]
            #expect(try await Tool.run(remove, in: scratch).succeeded)
            let late = try await Tool.run(
                client("send", gateway) + ["--message", "late", "--timeout", "500ms"], in: scratch)
            #expect(!late.succeeded)
            try await eventually("it is asked for and not known") {
                let text = try await gateway.get("metrics").1
                return try PrometheusText(text).samples["ouroboros_unknown_devices_total"] ?? 0 > 0
            }
            #expect(try await gateway.texts(1) == ["hi"])
        }
    }
}
