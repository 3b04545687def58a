import Foundation
import Ouroboros
import OuroborosStore
import TestSupport
import Testing

@testable import OuroborosSinks

@Suite struct FileTests {
    let scratch: Scratch
    let spool: Spool

    init() throws {
        scratch = try Scratch()
        spool = try Spool(path: scratch.file("spool"))
    }

    private var settings: FileSinkSettings { FileSinkSettings(path: scratch.file("out.jsonl")) }

    private func write(_ texts: [String], to sink: FileSink) async throws {
        let last = try spool.lastID()
        try spool.store(texts)
        try await sink.deliver(SinkBatch(try spool.messages(after: last), key: "k"))
    }

    private func texts(_ name: String) throws -> [String] {
        try scratch.read(name).split(separator: "\n").map { line in
            let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
            return object?["text"] as? String ?? "no text"
        }
    }

    private func putAside() throws -> [String] {
        try scratch.names().filter { $0.hasPrefix("out.jsonl.") }
    }

    @Test func itRotatesBySizeAndKeepsTheNewest() async throws {
        var settings = settings
        settings.mostBytes = 150
        settings.kept = 2
        let sink = FileSink(settings)
        for number in 1...5 {
            try await write(["message \(number)", "again \(number)"], to: sink)
        }
        #expect(try texts("out.jsonl") == ["message 5", "again 5"])
        let old = try putAside()
        #expect(try old.map(texts) == [["message 3", "again 3"], ["message 4", "again 4"]])
        for name in old + ["out.jsonl"] {
            let mode = try FileManager.default.attributesOfItem(atPath: scratch.file(name))[.posixPermissions]
            #expect(mode as? Int == 0o600)
        }
    }

    @Test func itRotatesByAge() async throws {
        var settings = settings
        settings.longestAge = .seconds(3600)
        var sink = FileSink(settings)
        try await write(["1"], to: sink)
        try await write(["2"], to: sink)
        #expect(try texts("out.jsonl") == ["1", "2"])
        await sink.close()
        try FileManager.default.removeItem(atPath: settings.path)
        settings.longestAge = .seconds(1)
        sink = FileSink(settings)
        try await write(["1"], to: sink)
        // So old it is then, at the least.
        try await Task.sleep(for: .milliseconds(1050))
        try await write(["3"], to: sink)
        #expect(try texts("out.jsonl") == ["3"])
        #expect(try putAside().map(texts) == [["1"]])
    }

    @Test func somebodyElsePutsItAside() async throws {
        let sink = FileSink(settings)
        try await write(["1"], to: sink)
        try FileManager.default.moveItem(atPath: settings.path, toPath: scratch.file("elsewhere"))
        try await write(["2"], to: sink)
        #expect(try texts("elsewhere") == ["1"])
        #expect(try texts("out.jsonl") == ["2"])
        // One that made a new file, too, as logrotate does.
        try FileManager.default.moveItem(atPath: settings.path, toPath: scratch.file("again"))
        try scratch.write("", to: "out.jsonl")
        try await write(["3"], to: sink)
        #expect(try texts("again") == ["2"])
        #expect(try texts("out.jsonl") == ["3"])
        try FileManager.default.removeItem(atPath: settings.path)
        try await write(["4"], to: sink)
        #expect(try texts("out.jsonl") == ["4"])
        #expect(try scratch.mode(of: "out.jsonl") == 0o600)
    }

    @Test func somebodyElseCutsIt() async throws {
        var settings = settings
        settings.mostBytes = 250
        let sink = FileSink(settings)
        try await write(["1", "2"], to: sink)
        try FileManager.default.copyItem(atPath: settings.path, toPath: scratch.file("copy"))
        let file = try #require(FileHandle(forWritingAtPath: settings.path))
        try file.truncate(atOffset: 0)
        try await write(["3"], to: sink)
        // What was in it before does not count.
        try await write(["4"], to: sink)
        #expect(try texts("copy") == ["1", "2"])
        #expect(try texts("out.jsonl") == ["3", "4"])
        #expect(try putAside() == [])
    }

    @Test func theirOrderIsNotAClocks() async throws {
        var settings = settings
        settings.mostBytes = 1
        settings.kept = 3
        // By a clock that was ahead, and of a time without numbers.
        let (ahead, old) = ("out.jsonl.00000007.20991231T235959.000Z", "out.jsonl.20991231T235959.000Z")
        for name in [ahead, old, "out.jsonl.00000006.20260101T000000.000Z"] {
            try scratch.write("{\"text\":\"\(name)\"}\n", to: name)
        }
        try scratch.write("mine\n", to: "out.jsonl.backup")
        let sink = FileSink(settings)
        for text in ["1", "2", "3"] { try await write([text], to: sink) }
        #expect(
            try putAside().filter { $0 != "out.jsonl.backup" }.map(texts) == [[ahead], ["1"], ["2"]])
        #expect(try putAside().contains { $0.hasPrefix("out.jsonl.00000009.20") })
        #expect(scratch.exists("out.jsonl.backup"))
    }

    @Test func aLineThatWasCutOffIsRemoved() async throws {
        let whole = "{\"text\":\"whole\"}\n"
        try Data((whole + String(repeating: "x", count: 100_000)).utf8)
            .write(to: URL(fileURLWithPath: settings.path))
        try await write(["next"], to: FileSink(settings))
        #expect(try texts("out.jsonl") == ["whole", "next"])
    }

    @Test func itBelongsToOneProcess() async throws {
        let sink = FileSink(settings)
        try await write(["1"], to: sink)
        let error = await #expect(throws: OuroborosError.self) {
            try await write(["2"], to: FileSink(settings))
        }
        #expect(error?.message.contains("in use by another process") == true)
        await sink.close()
        try await write(["3"], to: FileSink(settings))
        #expect(try texts("out.jsonl") == ["1", "3"])
    }

    @Test func whatIsNoFileIsRefused() async throws {
        var settings = settings
        settings.path = "/dev/null"
        let sink = FileSink(settings)
        let error = await #expect(throws: OuroborosError.self) { try await write(["1"], to: sink) }
        #expect(error?.message.contains("no regular file") == true)
    }
}
