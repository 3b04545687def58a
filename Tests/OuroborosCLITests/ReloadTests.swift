import Foundation
import LibC
import Subprocess
import TestSupport
import Testing

/// SIGHUP: files are opened and the configuration is read anew, and the gateway goes on.
@Suite(.serialized, .timeLimit(.minutes(6))) struct ReloadTests {
    let site: Site

    init() async throws {
        site = try await Site()
    }

    private func configure(_ more: String...) throws {
        let lines = ["store: gw.sqlite", "spool: spool", "bind: \"127.0.0.1:0\"", "sink-file: out.jsonl"]
        try site.scratch.write((lines + more).joined(separator: "\n") + "\n", to: "gateway.yaml")
    }

    private func texts(_ name: String) throws -> [String] {
        guard site.scratch.exists(name) else { return [] }
        return objects(try site.scratch.read(name).split(separator: "\n").map(String.init))
            .compactMap { $0["text"] as? String }
    }

    @Test func whatMayChangeIsTakenOver() async throws {
        let scratch = site.scratch
        try configure()
        let gateway = Victim(["gateway", "--config", "gateway.yaml"], in: scratch)
        await gateway.start()
        let address = "127.0.0.1:\(try await site.port(of: "listening on", gateway))"
        func send(_ text: String) async throws {
            let sent = try await Tool.run(
                site.client("send", to: address) + ["--message", text], in: scratch)
            try #require(sent.succeeded, "\(sent.errors)")
        }
        try await send("a")
        try await eventually("a is written") { try texts("out.jsonl") == ["a"] }
        try FileManager.default.moveItem(atPath: scratch.file("out.jsonl"), toPath: scratch.file("rotated"))
        gateway.send(SIGHUP)
        try await gateway.errors.first(containing: "changed: nothing")
        try await send("b")
        try await eventually("b is written to a new file") { try texts("out.jsonl") == ["b"] }
        #expect(try texts("rotated") == ["a"])
        #expect(!gateway.errors.all.contains { $0.contains("session closed") })

        try configure("log-level: debug", "file-size: 1", "queue: 16")
        gateway.send(SIGHUP)
        try await gateway.errors.first(containing: "changed: log-level, file-size")
        let left = try await gateway.errors.first(containing: "start it anew for:")
        #expect(left.contains("for: queue"))
        try await send("c")
        try await eventually("b is put aside") { try texts("out.jsonl") == ["c"] }
        #expect(try scratch.names().contains { $0.hasPrefix("out.jsonl.00000001.") })
        try await gateway.errors.first(containing: "session closed")

        // What cannot be read changes nothing.
        try configure("file-size: none")
        gateway.send(SIGHUP)
        let complaint = try await gateway.errors.first(containing: "cannot be read anew")
        #expect(complaint.contains("file-size"))
        try await send("d")
        try await eventually("d is written") { try texts("out.jsonl") == ["d"] }
        gateway.send(SIGTERM)
        #expect(try await gateway.ended() == .exited(0), "\(gateway.errors.all)")
    }
}
