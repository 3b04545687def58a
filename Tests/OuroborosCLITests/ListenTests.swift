import Foundation
import LibC
import Subprocess
import TestSupport
import Testing

/// Messages to a device reach somebody.
@Suite(.serialized, .timeLimit(.minutes(6))) struct ListenTests {
    private let site: Site
    private let gateway: Victim
    private let caller: DownlinkCaller
    private let client: [String]

    init() async throws {
        site = try await Site()
        gateway = try await site.gateway(DownlinkCaller.flags(queue: "queue.sqlite", in: site.scratch))
        caller = try await DownlinkCaller(gateway)
        client = [
            "--to", "127.0.0.1:\(try await site.port(of: "listening on", gateway))", "--device", site.device,
            "--root-key-file", "root.key",
        ]
    }

    private func post(_ text: String) async throws -> Int {
        let queued = try await caller.call("\(site.device)/messages", body: text)
        return try #require(queued.answer["id"] as? Int, "\(queued)")
    }

    private func eventuallyDelivered(_ id: Int) async throws {
        try await eventually("message \(id) is delivered") {
            try await caller.state(of: id, at: site.device) == "delivered"
        }
    }

    @Test func theyArePrinted() async throws {
        let listener = Victim(["listen", "--count", "2"] + client, in: site.scratch)
        await listener.start()
        for text in ["open", "close \"it\""] {
            try await eventuallyDelivered(try await post(text))
        }
        let lines = objects(try await listener.output.atLeast(2))
        #expect(lines.map { $0["text"] as? String } == ["open", "close \"it\""])
        #expect(lines.allSatisfy { $0["device"] as? String == site.device })
        #expect(try await listener.ended() == .exited(0))
    }

    /// What was not written is not acknowledged, and comes again.
    @Test func oneThatNobodyReadsIsNotAcknowledged() async throws {
        let id = try await post("open")
        let deaf = try await Tool.run(
            "/bin/bash", ["-c", "'\(Tool.path)' listen \(client.joined(separator: " ")) | true"],
            in: site.scratch)
        #expect(deaf.succeeded)
        #expect(try await caller.state(of: id, at: site.device) != "delivered")
    }

    @Test(arguments: [[], ["--outbox", "box"]]) func aSensorRunsACommandForEach(more: [String]) async throws {
        let sensor = Victim(
            ["sensor", "--interval", "100ms", "--command", "echo 1", "--on-message", "cat >>got; exit 3"]
                + more
                + client, in: site.scratch)
        await sensor.start()
        for text in ["one.", "two."] {
            try await eventuallyDelivered(try await post(text))
        }
        #expect(try site.scratch.read("got") == "one.two.")
        try await sensor.errors.first(containing: "a message (--on-message): the command failed")
        sensor.send(SIGTERM)
        #expect(try await sensor.ended() == .exited(0))
    }
}
