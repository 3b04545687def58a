import Foundation
import Subprocess
import SystemPackage
import TestSupport
import Testing

/// What is wrong gets one clear line and a status that is not zero.
@Suite(.timeLimit(.minutes(6))) struct BadInputTests {
    let scratch: Scratch
    private let device = "0102030405060708"

    init() throws {
        scratch = try Scratch()
    }

    private func expectRefused(
        _ arguments: [String], saying text: String, input: String = "",
        environment: [Environment.Key: String?] = [:], within limit: Duration = .seconds(100),
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let outcome = try await Tool.run(
            arguments, in: scratch, input: input, environment: environment, within: limit)
        #expect(outcome.status == .exited(1), "\(outcome.status)", sourceLocation: sourceLocation)
        #expect(outcome.errorLines.count == 1, "\(outcome.errors)", sourceLocation: sourceLocation)
        #expect(outcome.errors.contains(text), "\(outcome.errors)", sourceLocation: sourceLocation)
        #expect(outcome.output == "", sourceLocation: sourceLocation)
    }

    private func send(_ more: String..., to: String = "127.0.0.1:9", key: String? = "root.key") -> [String] {
        ["send", "--to", to, "--device", device, "--message", "hi"]
            + (key.map { ["--root-key-file", $0] } ?? []) + more
    }

    private func makeKey(_ name: String = "root.key") async throws {
        #expect(try await Tool.run(["keygen", "--out", name], in: scratch).succeeded)
    }

    private func addDevice() async throws {
        try await Tool.provision(device, in: scratch)
    }

    @Test func keysThatAreNone() async throws {
        try scratch.write("abcd\n", to: "short.key")
        try await expectRefused(send(key: "short.key"), saying: "64 hexadecimal digits, here there are 4")
        try scratch.write(String(repeating: "zz", count: 32), to: "odd.key")
        try await expectRefused(send(key: "odd.key"), saying: "something else")
        try await expectRefused(send(key: "no.key"), saying: "No such file")
        try await expectRefused(send(key: nil), saying: "--root-key-file or --root-key-env")
        try await expectRefused(send("--root-key-env", "NO_SUCH_KEY", key: nil), saying: "NO_SUCH_KEY")
        try await expectRefused(
            send("--root-key-env", "SHORT_KEY", key: nil), saying: "64 hexadecimal digits",
            environment: ["SHORT_KEY": "00"])
        try await makeKey()
        try await expectRefused(send("--root-key-env", "X"), saying: "not both")
    }

    @Test func aKeyFileThatOthersCanRead() async throws {
        try await makeKey()
        try scratch.write(scratch.read("root.key"), to: "root.key", mode: 0o644)
        try await expectRefused(send(), saying: "chmod 600")
        try await expectRefused(
            ["device", "add", "--store", "gw.sqlite", "--device", device, "--root-key-file", "root.key"],
            saying: "chmod 600")
        #expect(!scratch.exists("gw.sqlite"))
    }

    @Test func aKeyFromTheEnvironment() async throws {
        try await addDevice()
        let key = try scratch.read("root.key")
        _ = try await RunningGateway.with(["--store", "gw.sqlite"], in: scratch) { gateway in
            let sent = try await Tool.run(
                send("--root-key-env", "ROOT_KEY", to: gateway.address, key: nil), in: scratch,
                environment: ["ROOT_KEY": key])
            #expect(sent.succeeded, "\(sent.errors)")
        }
    }

    @Test func namesThatAreNone() async throws {
        try await makeKey()
        let key = ["--root-key-file", "root.key"]
        try await expectRefused(
            ["send", "--to", "127.0.0.1:9", "--device", "01"] + key, saying: "16 hexadecimal digits")
        try await expectRefused(["send", "--to", "127.0.0.1", "--device", device] + key, saying: "HOST:PORT")
    }

    /// It is looked up again as long as connecting may take, and told at once and at the end.
    @Test func aNameThatHasNoAddress() async throws {
        try await makeKey()
        let outcome = try await Tool.run(
            send("--timeout", "2s", to: "no-such-host.invalid:1"), in: scratch)
        #expect(!outcome.succeeded)
        #expect(outcome.errorLines.count == 2)
        for line in outcome.errorLines {
            #expect(line.contains("cannot find the address of “no-such-host.invalid”"))
        }
    }

    @Test func anEvolvingCredentialWithoutAState() async throws {
        try await makeKey()
        try await expectRefused(send("--evolving"), saying: "--state")
    }

    @Test func aStateThatIsNotThisDevices() async throws {
        try await makeKey()
        let first = try await Tool.run(send("--state", "a.state", "--timeout", "100ms"), in: scratch)
        #expect(first.errors.contains("may be deleted"))
        try await expectRefused(
            ["send", "--to", "127.0.0.1:9", "--device", "1111111111111111", "--state", "a.state"],
            saying: "state of device \(device)")
        try await expectRefused(send("--state", "a.state", "--evolving"), saying: "fixed credential")
        // Without a key a state is not begun.
        try await expectRefused(send("--state", "b.state", key: nil), saying: "root key is missing")
        #expect(!scratch.exists("b.state"))
    }

    @Test func aStateInUse() async throws {
        try await addDevice()
        _ = try await RunningGateway.with(["--store", "gw.sqlite"], in: scratch) { gateway in
            let holder = ["sensor", "--to", gateway.address] + send("--state", "a.state").dropFirst(3)
            let sensor = Victim(
                holder.filter { $0 != "--message" && $0 != "hi" } + ["--interval", "20ms"], in: scratch)
            await sensor.start()
            _ = try await gateway.messages(1)
            try await expectRefused(send("--state", "a.state"), saying: "in use by another process")
            sensor.send(SIGTERM)
            #expect(try await sensor.ended() == .exited(0), "\(sensor.errors.all)")
        }
    }

    @Test func aPortInUse() async throws {
        try await addDevice()
        _ = try await RunningGateway.with(["--store", "gw.sqlite"], in: scratch) { gateway in
            try await expectRefused(
                ["gateway", "--store", "gw.sqlite", "--bind", gateway.address], saying: "port is in use")
        }
    }

    @Test func aGatewayWithoutItsStore() async throws {
        try await expectRefused(
            ["gateway", "--store", "none.sqlite", "--bind", "127.0.0.1:0"], saying: "No such file")
        try await expectRefused(["gateway", "--bind", "127.0.0.1:0"], saying: "--store")
        try scratch.write("no database, but long enough to be looked at as one", to: "text")
        try await expectRefused(
            ["gateway", "--store", "text", "--bind", "127.0.0.1:0"], saying: "no store of Ouroboros")
        #expect(try scratch.read("text").hasPrefix("no database"))
    }

    @Test func aDeviceThatIsThereOrNot() async throws {
        try await addDevice()
        try await expectRefused(
            ["device", "add", "--store", "gw.sqlite", "--device", device, "--root-key-file", "root.key"],
            saying: "already")
        try await expectRefused(
            ["device", "remove", "--store", "gw.sqlite", "--device", "1111111111111111"],
            saying: "no device 1111111111111111")
        try await expectRefused(["device", "list", "--store", "none.sqlite"], saying: "No such file")
    }

    @Test func aGatewayThatDoesNotKnowTheDevice() async throws {
        try await addDevice()
        try await makeKey("other.key")
        _ = try await RunningGateway.with(["--store", "gw.sqlite"], in: scratch) { gateway in
            try await expectRefused(
                ["send", "--to", gateway.address, "--device", "1111111111111111", "--message", "hi"]
                    + ["--root-key-file", "root.key", "--timeout", "500ms"],
                saying: "does not know this device")
            try await expectRefused(
                send("--timeout", "500ms", to: gateway.address, key: "other.key"), saying: "another key")
            // The gateway is there for those that it knows, and had nothing from the others.
            let known = try await Tool.run(send(to: gateway.address), in: scratch)
            #expect(known.succeeded, "\(known.errors)")
            let messages = try await gateway.messages(1)
            #expect(messages.map { $0["device"] as? String } == [device])
        }
    }

    @Test func nobodyAnswersAtAll() async throws {
        try await makeKey()
        // All of the protocol's retransmissions: 45 seconds and more.
        try await expectRefused(
            send(), saying: "no answer from 127.0.0.1:9", within: .seconds(150))
    }

    @Test func aMessageThatIsTooLarge() async throws {
        try await addDevice()
        let (scratch, device) = (scratch, device)
        _ = try await RunningGateway.with(["--store", "gw.sqlite"], in: scratch) { gateway in
            for length in [1201, 5000] {
                let outcome = try await Tool.run(
                    ["send", "--to", gateway.address, "--device", device, "--root-key-file", "root.key"],
                    in: scratch, input: "a\n" + String(repeating: "x", count: length) + "\nb\n")
                #expect(outcome.status == .exited(1))
                #expect(outcome.errors.contains("2 of 3 delivered, 1 refused"))
                #expect(outcome.errors.contains("limit of 1200 bytes"))
                #expect(outcome.errors.contains("\(length) bytes"))
            }
            #expect(try await gateway.texts(4) == ["a", "b", "a", "b"])
        }
    }

    @Test func aGatewayThatStops() async throws {
        try await addDevice()
        let (scratch, device) = (scratch, device)
        let status = try await RunningGateway.with(["--store", "gw.sqlite"], in: scratch) { gateway in
            let (lines, input) = AsyncStream.makeStream(of: String.self)
            let sender = Victim(
                [
                    "send", "--to", gateway.address, "--device", device, "--root-key-file", "root.key",
                    "--timeout", "2s",
                ], in: scratch, input: lines)
            await sender.start()
            input.yield("a")
            #expect(try await gateway.texts(1) == ["a"])
            gateway.terminate(.kill)
            try await gateway.errors.waitForEnd()
            input.yield("b")
            input.finish()
            #expect(try await sender.ended() == .exited(1))
            let errors = sender.errors.all.joined(separator: "\n")
            // The first may have been written and not yet acknowledged.
            let outcomes = ["1 of 2 delivered, 1 unknown", "0 of 2 delivered, 2 unknown"]
            #expect(outcomes.contains { errors.contains($0) }, "\(errors)")
            #expect(errors.contains("has stopped answering"), "\(errors)")
        }
        #expect(status == .signaled(9))
    }
}
