import Foundation
import Subprocess
import SystemPackage
import TestSupport
import Testing

/// Messages that wait on disk, and a gateway that stores each once.
@Suite(.timeLimit(.minutes(6))) struct OutboxTests {
    let scratch: Scratch
    private let device = "0102030405060708"

    init() throws {
        scratch = try Scratch()
    }

    private func client(_ command: String..., to address: String) -> [String] {
        command + ["--to", address, "--device", device, "--root-key-file", "root.key"]
    }

    private func spooled() async throws -> [[String: any Sendable]] {
        let list = try await Tool.run(["spool", "list", "--spool", "spool"], in: scratch)
        #expect(list.succeeded, "\(list.errors)")
        return list.lines.compactMap {
            (try? JSONSerialization.jsonObject(with: Data($0.utf8))) as? [String: any Sendable]
        }
    }

    @Test func messagesWaitUntilTheGatewayIsThere() async throws {
        try await Tool.provision(device, ["--evolving"], in: scratch)
        let state = ["--evolving", "--state", "dev", "--outbox", "dev", "--timeout", "300ms"]
        for line in ["a", "b"] {
            let away = try await Tool.run(
                client("send", to: "127.0.0.1:9") + state + ["--message", line], in: scratch)
            #expect(away.status == .exited(1))
            #expect(away.errors.contains("no answer from"), "\(away.errors)")
        }
        let more = try await Tool.run(
            client("send", to: "127.0.0.1:9") + state, in: scratch,
            input: "c\n" + String(repeating: "x", count: 1193) + "\nd\n")
        #expect(more.errors.contains("4 waiting in the outbox"), "\(more.errors)")
        #expect(more.errors.contains("1 refused"), "\(more.errors)")
        let shown = try await Tool.run(["outbox", "show", "--outbox", "dev"], in: scratch)
        #expect(shown.lines.contains("messages\t4") && shown.lines.contains("next seq\t4"), "\(shown.output)")
        let listed = try await Tool.run(["outbox", "show", "--outbox", "dev", "--messages"], in: scratch)
        #expect(listed.lines.first?.contains("\"seq\":0,\"text\":\"a\"") == true, "\(listed.output)")

        let (scratch, state2) = (scratch, Array(state.dropLast(2)))
        _ = try await RunningGateway.with(["--store", "gw.sqlite", "--spool", "spool"], in: scratch) {
            gateway in
            let flushed = try await Tool.run(
                client("outbox", "flush", to: gateway.address) + state2, in: scratch)
            #expect(flushed.succeeded, "\(flushed.errors)")
            #expect(flushed.errors.contains("4 delivered"))
            let messages = try await gateway.messages(4)
            #expect(messages.map { $0["text"] as? String } == ["a", "b", "c", "d"])
            #expect(messages.map { $0["seq"] as? Int } == [0, 1, 2, 3])
            #expect(Set(messages.map { $0["box"] as? Int }).count == 1)
            let sent = try await Tool.run(
                client("send", to: gateway.address) + state2 + ["--receipts"], in: scratch, input: "e\nf\n")
            #expect(sent.succeeded, "\(sent.errors)")
            // Acknowledged in one packet, so in either order.
            #expect(sent.lines.sorted() == ["e", "f"])
        }
        let rows = try await spooled()
        #expect(rows.compactMap { $0["text"] as? String } == ["a", "b", "c", "d", "e", "f"])
        #expect(rows.map { $0["seq"] as? Int } == Array(0...5))
        let trim = [
            "spool", "trim", "--spool", "spool", "--through",
            "\(rows.dropFirst(4).first?["id"] as? Int ?? 0)",
        ]
        #expect(try await Tool.run(trim, in: scratch).succeeded)
        #expect(try await spooled().count == 1)
    }

    @Test func whatComesAgainIsNotStoredAgain() async throws {
        try await Tool.provision(device, in: scratch)
        let (scratch, box) = (scratch, ["--outbox", "box"])
        _ = try await RunningGateway.with(["--store", "gw.sqlite", "--spool", "spool"], in: scratch) {
            gateway in
            let first = try await Tool.run(
                client("send", to: gateway.address) + box, in: scratch, input: "a\nb\nc\n")
            #expect(first.succeeded, "\(first.errors)")
            // The acknowledgement was lost with the client: the outbox is as it was before.
            let away = try await Tool.run(
                client("send", to: "127.0.0.1:9") + box + ["--timeout", "200ms", "--message", "d"],
                in: scratch)
            #expect(!away.succeeded)
            try FileManager.default.copyItem(atPath: scratch.file("box"), toPath: scratch.file("copy"))
            for name in ["box", "copy"] {
                let again = try await Tool.run(
                    client("outbox", "flush", "--outbox", name, to: gateway.address), in: scratch)
                #expect(again.succeeded, "\(again.errors)")
            }
            #expect(try await gateway.texts(4) == ["a", "b", "c", "d"])
        }
        #expect(try await spooled().count == 4)
    }

    @Test func withoutASpoolLinesSayWhereTheyStand() async throws {
        try await Tool.provision(device, in: scratch)
        let scratch = scratch
        _ = try await RunningGateway.with(["--store", "gw.sqlite"], in: scratch) { gateway in
            let sent = try await Tool.run(
                client("send", to: gateway.address) + ["--outbox", "box", "--message", "a"], in: scratch)
            #expect(sent.succeeded, "\(sent.errors)")
            let first = try await gateway.messages(1)
            #expect(first.first?["seq"] as? Int == 0)
            #expect((first.first?["box"] as? Int ?? 0) > 0)
            let plain = try await Tool.run(
                client("send", to: gateway.address) + ["--message", "b"], in: scratch)
            #expect(plain.succeeded)
            let both = try await gateway.messages(2)
            #expect(both.count == 2 && both.last?["box"] == nil)
        }
    }

    @Test func aSensorKeepsItsReadings() async throws {
        try await Tool.provision(device, in: scratch)
        let sensor = ["--outbox", "box", "--interval", "20ms", "--command", "echo 21.5"]
        let away = try await Tool.run(
            client("sensor", to: "127.0.0.1:9") + sensor + ["--count", "3", "--timeout", "300ms"], in: scratch
        )
        #expect(away.status == .exited(1))
        #expect(away.errors.contains("3 waiting in the outbox"), "\(away.errors)")
        let scratch = scratch
        _ = try await RunningGateway.with(["--store", "gw.sqlite", "--spool", "spool"], in: scratch) {
            gateway in
            let back = try await Tool.run(
                client("sensor", to: gateway.address) + sensor + ["--count", "2"], in: scratch)
            #expect(back.succeeded, "\(back.errors)")
            #expect(back.errors.contains("5 delivered"), "\(back.errors)")
            #expect(try await gateway.texts(5) == Array(repeating: "21.5", count: 5))
        }
    }

    @Test func aSensorThatIsStoppedWhileTheGatewayIsAway() async throws {
        try await Tool.provision(device, in: scratch)
        let sensor = Victim(
            client("sensor", to: "127.0.0.1:9") + [
                "--outbox", "box", "--interval", "20ms", "--timeout", "100ms",
            ], in: scratch)
        await sensor.start()
        try await sensor.errors.first(containing: "messages wait in the outbox")
        sensor.send(SIGTERM)
        #expect(try await sensor.ended() == .exited(0))
        #expect(sensor.errors.all.contains { $0.contains("waiting in the outbox") }, "\(sensor.errors.all)")
        let cleared = try await Tool.run(["outbox", "clear", "--outbox", "box"], in: scratch)
        #expect(cleared.errors.contains("messages thrown away"))
        let shown = try await Tool.run(["outbox", "show", "--outbox", "box"], in: scratch)
        #expect(shown.lines.contains("messages\t0") && shown.lines.contains("next seq\t0"))
    }

    @Test func filesThatAreNone() async throws {
        try await Tool.provision(device, in: scratch)
        for command in [["outbox", "show", "--outbox", "none"], ["spool", "list", "--spool", "none"]] {
            let outcome = try await Tool.run(command, in: scratch)
            #expect(outcome.status == .exited(1))
            #expect(outcome.errors.contains("No such file"))
            #expect(!scratch.exists("none"))
        }
        let wrong = try await Tool.run(["spool", "list", "--spool", "gw.sqlite"], in: scratch)
        #expect(wrong.errors.contains("another kind of file"))
        let full = try await Tool.run(
            client("send", to: "127.0.0.1:9") + [
                "--outbox", "box", "--outbox-messages", "2", "--timeout", "100ms",
            ], in: scratch, input: "a\nb\nc\n")
        #expect(full.errors.contains("the 1 oldest messages were dropped"), "\(full.errors)")
    }
}
