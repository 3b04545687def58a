import Foundation
import Subprocess
import SystemPackage
import TestSupport
import Testing

/// From nothing to a first reading: a token, one command at the device, and no other option after that.
@Suite(.timeLimit(.minutes(6))) struct JoinTests {
    private let scratch: Scratch

    init() throws {
        scratch = try Scratch()
    }

    private func run(_ arguments: [String], input: String = "") async throws -> Tool.Outcome {
        try await Tool.run(arguments, in: scratch, input: input)
    }

    @discardableResult private func succeeds(
        _ arguments: String..., sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> Tool.Outcome {
        let outcome = try await run(arguments)
        try #require(outcome.succeeded, "\(outcome.errors)", sourceLocation: sourceLocation)
        return outcome
    }

    private func expectRefused(
        _ arguments: [String], saying text: String, input: String = "",
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let outcome = try await run(arguments, input: input)
        #expect(outcome.status == .exited(1), "\(outcome.errors)", sourceLocation: sourceLocation)
        #expect(outcome.errors.contains(text), "\(outcome.errors)", sourceLocation: sourceLocation)
        #expect(outcome.output == "", sourceLocation: sourceLocation)
    }

    /// A gateway at a port that tokens can name before it runs.
    private func withGateway(
        at place: String, _ more: [String] = [], _ body: @Sendable (RunningGateway) async throws -> Void
    ) async throws {
        _ = try await RunningGateway.with(
            Tool.path, ["gateway", "--store", "gw.sqlite", "--bind", place] + more, in: scratch, body)
    }

    private func new(_ name: String, _ place: String, _ more: String...) async throws {
        let outcome = try await run(
            ["device", "new", "--store", "gw.sqlite", "--name", name, "--gateway", place] + more)
        try #require(outcome.succeeded, "\(outcome.errors)")
    }

    @Test(arguments: ["evolving", "fixed"]) func fromNothingToAReading(kind: String) async throws {
        let place = OwnAddress.next()
        try await new("kitchen", place, "--kind", kind, "--out", "kitchen.ouro")
        #expect(try scratch.mode(of: "kitchen.ouro") == 0o600)
        try await withGateway(at: place) { gateway in
            let joined = try await succeeds("join", "kitchen.ouro")
            for part in ["joined \(place)", "“kitchen.state”, not sealed", "delete “kitchen.ouro”"] {
                #expect(joined.errors.contains(part), "\(joined.errors)")
            }
            #expect(try scratch.mode(of: "kitchen.state") == 0o600)
            try FileManager.default.removeItem(atPath: scratch.file("kitchen.ouro"))
            let state = ["--state", "kitchen.state"]
            let sensor = ["sensor", "--count", "1", "--command", "echo 21.5"] + state
            for command in [
                sensor, sensor + ["--lean"], sensor + ["--outbox", "kitchen.state"],
                ["send", "--message", "hello"] + state, ["ping", "--count", "1"] + state,
            ] {
                let outcome = try await run(command)
                #expect(outcome.succeeded, "\(command) \(outcome.errors)")
            }
            #expect(try await gateway.texts(4) == ["21.5", "21.5", "21.5", "hello"])
        }
        let shown = try await succeeds("device", "show", "kitchen", "--store", "gw.sqlite")
        #expect(shown.lines.contains("kind\t\(kind)"))
        #expect(shown.lines.contains("messages\t4"))
        #expect(shown.lines.contains { $0.hasPrefix("address\t127.") }, "\(shown.output)")
        #expect(!shown.output.contains("never"))
    }

    /// It is refused with what that means, and the device that has joined goes on.
    @Test func aTokenThatWasUsedBefore() async throws {
        let place = OwnAddress.next()
        try await new("kitchen", place, "--out", "kitchen.ouro")
        try await withGateway(at: place) { gateway in
            try await succeeds("join", "kitchen.ouro", "--state", "thief.state")
            try await expectRefused(
                ["join", "kitchen.ouro", "--timeout", "1s"], saying: "somebody else has joined with it")
            try await gateway.errors.first(containing: "at an epoch that was left")
            // What the thief has is shut out, and says so.
            try await succeeds(
                "device", "reissue", "kitchen", "--store", "gw.sqlite", "--gateway", place, "--out",
                "new.ouro")
            try await expectRefused(
                ["send", "--state", "thief.state", "--message", "x", "--timeout", "1s"],
                saying: "has another key for it")
            try await expectRefused(
                ["join", "new.ouro", "--state", "kitchen.state"], saying: "got a new key meanwhile")
            try await succeeds("join", "new.ouro")
            try await succeeds("send", "--state", "new.state", "--message", "mine")
            #expect(try await gateway.texts(1) == ["mine"])
        }
    }

    @Test func aGatewayThatIsNotThereYet() async throws {
        let place = OwnAddress.next()
        try await new("kitchen", place, "--out", "kitchen.ouro")
        let join = ["join", "kitchen.ouro", "--timeout", "1s"]
        try await expectRefused(join, saying: "did not answer within 1.0 seconds")
        try await withGateway(at: place) { _ in
            try await succeeds("join", "kitchen.ouro")
            // Once more harms nothing.
            try await succeeds("join", "kitchen.ouro")
        }
    }

    @Test func aTokenFromStandardInput() async throws {
        let place = OwnAddress.next()
        let made = try await run(
            ["device", "new", "--store", "gw.sqlite", "--name", "kitchen", "--gateway", place])
        let token = made.output
        #expect(token.hasPrefix("ouro1:"))
        try await withGateway(at: place) { _ in
            let joined = try await run(["join", "-", "--state", "a.state"], input: token.uppercased())
            #expect(joined.succeeded, "\(joined.errors)")
        }
        try await expectRefused(["join", "-"], saying: "give --state FILE", input: token)
        try await expectRefused(["join", "-", "--state", "b"], saying: "is cut", input: "ouro1:abc")
        try await expectRefused(["join", "-", "--state", "b"], saying: "is no token", input: "hello\n")
        try await expectRefused(
            ["join", "-", "--state", "b"], saying: "was changed",
            input: token.replacing("\n", with: "x\n"))
        #expect(!scratch.exists("b"))
        // Never on the command line, which others can read.
        try await expectRefused(["join", token], saying: "a token is no argument")
        try scratch.write(token, to: "open.ouro", mode: 0o644)
        try await expectRefused(["join", "open.ouro"], saying: "chmod 600")
    }

    @Test func aStateThatDidNotJoin() async throws {
        try await new("kitchen", "127.0.0.1:9", "--out", "kitchen.ouro")
        try await expectRefused(
            ["send", "--state", "no.state", "--message", "x"], saying: "there is no “no.state”")
        #expect(!scratch.exists("no.state"))
        try await succeeds("keygen", "--out", "root.key")
        let send = [
            "send", "--device", "0102030405060708", "--message", "x", "--state", "old.state", "--timeout",
            "100ms",
        ]
        _ = try await run(send + ["--to", "127.0.0.1:9", "--root-key-file", "root.key"])
        try await expectRefused(
            ["join", "kitchen.ouro", "--state", "old.state"], saying: "of a device that did not join")
        try await expectRefused(send, saying: "--to HOST:PORT is missing")
        // After device rotate, with the new key and the old state.
        try await succeeds("keygen", "--out", "new.key")
        try await expectRefused(
            send + ["--to", "127.0.0.1:9", "--root-key-file", "new.key"], saying: "got a new key meanwhile")
    }

    @Test func aDeviceThatIsDisabled() async throws {
        let place = OwnAddress.next()
        try await new("kitchen", place, "--out", "kitchen.ouro")
        try await withGateway(at: place) { gateway in
            try await succeeds("join", "kitchen.ouro")
            let send = ["send", "--state", "kitchen.state", "--timeout", "2s", "--message"]
            try await succeeds("device", "disable", "kitchen", "--store", "gw.sqlite")
            try await expectRefused(send + ["refused"], saying: "no answer from \(place)")
            try await gateway.errors.first(containing: "or is disabled")
            let list = try await succeeds("device", "list", "--store", "gw.sqlite")
            #expect(list.lines.first?.hasSuffix("\tkitchen\tdisabled") == true, "\(list.output)")
            try await succeeds("device", "enable", "kitchen", "--store", "gw.sqlite")
            let sent = try await run(send + ["taken"])
            #expect(sent.succeeded, "\(sent.errors)")
            #expect(try await gateway.texts(1) == ["taken"])
        }
    }
}
