import Foundation
import OuroborosNIO
import Subprocess
import TestSupport
import Testing

/// A machine whose clock is wrong and then set: a Raspberry Pi starts in the past and steps once it has a network.
@Suite(.timeLimit(.minutes(4)), .enabled("faketime is here") { SteppedClock.isPossible })
struct ClockTests {
    @Test func stepsStopNothing() async throws {
        let site = try await Site()
        let clock = try SteppedClock(in: site.scratch, offset: SteppedClock.to1970)
        let gateway = Victim(
            [
                Tool.path, "gateway", "--store", "gw.sqlite", "--spool", "spool", "--bind", "127.0.0.1:0",
                "--sink-file", "out.jsonl", "--file-age", "1h", "--metrics", "127.0.0.1:0",
            ], executable: "/usr/bin/env", in: site.scratch, environment: clock.environment)
        await gateway.start()
        let port = try await site.port(of: "listening on", gateway)
        // The device's clock is right: one of its messages is under way through each step.
        try await site.connected(to: port) { connection in
            for (number, offset) in [SteppedClock.to1970, "+0", "+7200", "-7200", SteppedClock.to1970, "+0"]
                .enumerated()
            {
                try clock.set(offset)
                try await bounded("message \(number) is delivered at \(offset)", by: .seconds(60)) {
                    try await connection.send(Array("\(number)".utf8))
                }
                try await eventually("message \(number) is written at \(offset)") {
                    try texts(in: site.scratch).sorted() == (0...number).map(String.init)
                }
                #expect(try await gateway.get("healthz").1 == "ok\n")
            }
        }
        gateway.send(SIGTERM)
        #expect(try await gateway.ended() == .exited(0), "\(gateway.errors.all)")
    }

    /// A device whose readings wait: those of before and after a step arrive, each once and in their order.
    @Test func anOutboxKeepsItsOrder() async throws {
        let site = try await Site()
        let clock = try SteppedClock(in: site.scratch, offset: SteppedClock.to1970)
        for (number, offset) in [SteppedClock.to1970, "+0", "-7200"].enumerated() {
            try clock.set(offset)
            let kept = try await Tool.run(
                "/usr/bin/env",
                [Tool.path] + site.client("send", to: "127.0.0.1:1")
                    + ["--outbox", "box", "--timeout", "300ms", "--message", "\(number)"],
                in: site.scratch, environment: clock.environment)
            #expect(kept.errors.contains("outbox"), "\(kept.errors)")
        }
        let gateway = try await site.gateway([])
        let address = "127.0.0.1:\(try await site.port(of: "listening on", gateway))"
        let flushed = try await Tool.run(
            "/usr/bin/env", [Tool.path] + site.client("outbox", "flush", to: address) + ["--outbox", "box"],
            in: site.scratch, environment: clock.environment)
        #expect(flushed.succeeded, "\(flushed.errors)")
        #expect(
            objects(try await gateway.output.atLeast(3)).compactMap { $0["text"] as? String } == [
                "0", "1", "2",
            ])
        try await gateway.killed()
    }

    private func texts(in scratch: Scratch) throws -> [String] {
        // What a step makes old is put aside.
        try scratch.names().filter { $0.hasPrefix("out.jsonl") }.flatMap { name in
            objects(try scratch.read(name).split(separator: "\n").map(String.init))
                .compactMap { $0["text"] as? String }
        }
    }
}

/// The wall clock that one process sees, as a distance from the machine's; its monotonic one is the machine's.
struct SteppedClock {
    private static let library = "/usr/lib/\(machine)-linux-gnu/faketime/libfaketimeMT.so.1"
    static let to1970 = "-\(Int(Date().timeIntervalSince1970) - 3600)"

    static var isPossible: Bool { FileManager.default.fileExists(atPath: library) }

    private static var machine: String {
        #if arch(x86_64)
        "x86_64"
        #else
        "aarch64"
        #endif
    }

    private let file: String

    init(in scratch: Scratch, offset: String) throws {
        file = scratch.file("clock")
        try set(offset)
    }

    func set(_ offset: String) throws {
        try Data(offset.utf8).write(to: URL(fileURLWithPath: file), options: .atomic)
    }

    /// For a command that is started by `env`: loaded by Swift's own runtime it moves the arguments.
    var environment: [Environment.Key: String?] {
        [
            "LD_PRELOAD": Self.library, "FAKETIME_TIMESTAMP_FILE": file, "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        ]
    }
}
