import Foundation
import Subprocess
import SystemPackage
import TestSupport
import Testing

/// Devices by the hundred, and what is changed of them.
@Suite(.timeLimit(.minutes(6))) struct ManyDevicesTests {
    private let scratch: Scratch
    private let store = ["--store", "gw.sqlite"]

    init() throws {
        scratch = try Scratch()
    }

    private func device(_ arguments: [String]) async throws -> Tool.Outcome {
        try await Tool.run(["device"] + arguments + store, in: scratch)
    }

    @discardableResult private func succeeds(
        _ arguments: String..., sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> Tool.Outcome {
        let outcome = try await device(arguments)
        try #require(outcome.succeeded, "\(outcome.errors)", sourceLocation: sourceLocation)
        return outcome
    }

    private func expectRefused(
        _ arguments: [String], saying text: String, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let outcome = try await device(arguments)
        #expect(outcome.status == .exited(1), "\(outcome.errors)", sourceLocation: sourceLocation)
        #expect(outcome.errorLines.count == 1, "\(outcome.errors)", sourceLocation: sourceLocation)
        #expect(outcome.errors.contains(text), "\(outcome.errors)", sourceLocation: sourceLocation)
    }

    private func names(_ more: String...) async throws -> [String] {
        let list = try await device(["list", "--json"] + more)
        return objects(list.lines).compactMap { $0["name"] as? String }.sorted()
    }

    @Test func manyAreMadeAtOnce() async throws {
        let made = try await succeeds(
            "new", "--count", "120", "--prefix", "hall-", "--gateway", "gw.local:5700", "--tag", "hall")
        let devices = objects(made.lines)
        #expect(
            devices.compactMap { $0["name"] as? String }
                == (1...120).map { "hall-\(String(format: "%03d", $0))" })
        #expect(Set(devices.compactMap { $0["device"] as? String }).count == 120)
        #expect(devices.allSatisfy { ($0["token"] as? String)?.hasPrefix("ouro1:") == true })
        #expect(try await names("--tag", "hall").count == 120)
        // None is made twice.
        let again = ["new", "--count", "2", "--prefix", "hall-", "--gateway", "gw.local:5700"]
        try await expectRefused(again + ["--first", "119", "--out", "more"], saying: "called “hall-119”")
        #expect(!scratch.exists("more"))
        try await succeeds(
            "new", "--count", "2", "--prefix", "hall-", "--first", "121", "--gateway", "gw.local:5700",
            "--out", "more")
        #expect(try scratch.mode(of: "more") == 0o600)
        #expect(try await names().suffix(2) == ["hall-121", "hall-122"])
        // Whoever reads has had enough, which is no error.
        let path = Tool.path
        let head = try await Tool.run(
            "/bin/bash", ["-c", "'\(path)' device list --store gw.sqlite | head -1"], in: scratch)
        #expect(head.lines.count == 1)
        #expect(head.errors == "")
    }

    @Test func aTableIsImported() async throws {
        let key = String(repeating: "5a", count: 32)
        try scratch.write(
            "\u{feff}Device,Name,Key,Kind,Tags\n0102030405060708,\"Küche, \"\"links\"\"\",\(key),fixed,a b\r\n"
                + "0102030405060709,,\(key),,\n", to: "devices.csv")
        let imported = try await succeeds("import", "--csv", "devices.csv")
        #expect(imported.errors.contains("2 devices imported"), "\(imported.errors)")
        let shown = objects(try await succeeds("list", "--json").lines)
        #expect(shown.map { $0["name"] as? String } == ["Küche, \"links\"", ""])
        #expect(shown.map { $0["kind"] as? String } == ["fixed", "evolving"])
        #expect(shown.map { $0["tags"] as? [String] } == [["a", "b"], []])
        try await expectRefused(["import", "--csv", "devices.csv"], saying: "is in the store already")
        let skipped = try await succeeds("import", "--csv", "devices.csv", "--skip-existing")
        #expect(skipped.errors.contains("0 devices imported, 2 there already"), "\(skipped.errors)")
    }

    @Test func aTableOfNamesGivesTokens() async throws {
        try scratch.write("name,tags\ncellar,a\nattic,b\n", to: "names.csv")
        let arguments = ["import", "--csv", "names.csv"]
        try await expectRefused(arguments, saying: "row 2 has no id or no key")
        let tokens = ["--gateway", "gw.local:5700", "--out", "tokens"]
        #expect(try await device(arguments + tokens).succeeded)
        let made = objects(try scratch.read("tokens").split(separator: "\n").map(String.init))
        #expect(made.compactMap { $0["name"] as? String } == ["cellar", "attic"])
        try scratch.write("name,tags\nattic,b\nshed,c\n", to: "names.csv")
        try await expectRefused(arguments + tokens, saying: "exists already")
        let more = try await succeeds(
            "import", "--csv", "names.csv", "--gateway", "gw.local:5700", "--skip-existing")
        #expect(objects(more.lines).compactMap { $0["name"] as? String } == ["shed"])
        #expect(try await names() == ["attic", "cellar", "shed"])
    }

    @Test(arguments: [
        ("", "it is empty"), ("device,colour\n", "row 1: “colour” is no column"),
        ("name,name\n", "is there twice"), ("device,key\n0102,\n", "row 2: a device id is 16"),
        ("device,key\n\n0102030405060708,00\n", "row 2: a key has 64"),
        ("name\na,b\n", "row 2: it has more values"),
        ("name,kind\na,moving\n", "“moving” is no kind"), ("name,tags\na,\"b,c\"\n", "“b,c” is no tag"),
        ("name\n\"a\n", "row 2: "), ("name\na\"b\n", "row 2: "), ("name\n\u{fffd}\n", ""),
    ])
    func tablesThatAreNone(text: String, error: String) async throws {
        try scratch.write(text, to: "devices.csv")
        guard !error.isEmpty else {
            // Broken UTF-8.
            try Data([0x6e, 0x61, 0x6d, 0x65, 0x0a, 0xff, 0x0a]).write(
                to: URL(fileURLWithPath: scratch.file("devices.csv")))
            try scratch.setMode(0o600, of: "devices.csv")
            return try await expectRefused(
                ["import", "--csv", "devices.csv", "--gateway", "gw:1"], saying: "row 2: the name is no UTF-8"
            )
        }
        try await expectRefused(["import", "--csv", "devices.csv", "--gateway", "gw:1"], saying: error)
        #expect(!scratch.exists("gw.sqlite"))
    }

    @Test func aDeviceIsChangedByNameOrId() async throws {
        let token = try await succeeds("new", "--name", "kitchen", "--gateway", "gw.local:5700", "--tag", "a")
        #expect(token.lines.count == 1)
        try await succeeds("rename", "kitchen", "--to", "cellar")
        try await succeeds("tag", "cellar", "--add", "floor=2", "--remove", "a")
        let shown = try await succeeds("show", "cellar", "--json")
        let object = try #require(objects(shown.lines).first)
        #expect(object["tags"] as? [String] == ["floor=2"])
        #expect(object["disabled"] as? Bool == false)
        let id = try #require(object["device"] as? String)
        try await succeeds("disable", id)
        #expect(try await succeeds("show", "--device", id).lines.contains("disabled\tyes"))
        try await succeeds("enable", "cellar")
        #expect(try await names("--tag", "floor=2") == ["cellar"])
        #expect(try await names("--tag", "floor=2", "--tag", "a") == [])
        try await expectRefused(["rename", "kitchen", "--to", "x"], saying: "there is no device kitchen")
        try await expectRefused(["tag", "cellar", "--add", "a b"], saying: "is no tag")
        try await expectRefused(
            ["new", "--name", "cellar", "--gateway", "gw.local:5700"], saying: "called “cellar”")
        try await expectRefused(["new", "--gateway", "tcp://gw:1"], saying: "over UDP")
        // Two of one name are told apart by their ids.
        for name in ["a", "b"] {
            try await succeeds("new", "--name", name, "--gateway", "gw.local:5700")
        }
        try await succeeds("rename", "a", "--to", "b")
        try await expectRefused(["show", "b"], saying: "2 devices are called “b”")
        try await succeeds("remove", id)
        #expect(try await names() == ["b", "b"])
    }

    @Test func aTokenGoesWhereItIsWanted() async throws {
        try scratch.write("home, sweet\npass\"word\n", to: "wifi")
        let made = try await succeeds(
            "new", "--name", "node", "--device", "0102030405060708", "--kind", "fixed", "--gateway",
            "gw.local:5700",
            "--nvs", "node.csv", "--wifi-file", "wifi", "--blob", "node.bin", "--out", "node.ouro")
        #expect(made.output == "")
        for file in ["node.csv", "node.bin", "node.ouro"] {
            #expect(try scratch.mode(of: file) == 0o600)
        }
        let blob = try Data(contentsOf: URL(fileURLWithPath: scratch.file("node.bin")))
        #expect(blob.count == 60)
        #expect(Array(blob.prefix(9)) == [0, 1, 2, 3, 4, 5, 6, 7, 8])
        #expect(Array(blob.suffix(11)) == [0x16, 0x44, 8] + Array("gw.local".utf8))
        let digits = blob.prefix(49).map { String(format: "%02x", $0) }.joined()
        #expect(
            try scratch.read("node.csv") == """
                key,type,encoding,value
                ouroboros,namespace,,
                credential,data,hex2bin,\(digits)
                host,data,string,"gw.local"
                port,data,u16,5700
                wifi_ssid,data,string,"home, sweet"
                wifi_pass,data,string,"pass""word"

                """)
        // What was written before something went wrong goes again, and no device is added.
        try await expectRefused(
            [
                "new", "--name", "other", "--gateway", "gw.local:5700", "--out", "other.ouro", "--blob",
                "node.bin",
            ],
            saying: "node.bin” exists already")
        #expect(!scratch.exists("other.ouro"))
        #expect(try await names() == ["node"])
    }

    @Test func aCodeIsASquareWithItsThreeCorners() async throws {
        let made = try await succeeds("new", "--name", "node", "--gateway", "gw.local:5700", "--qr")
        let rows = made.lines.flatMap { line -> [[Bool]] in
            let cells = line.replacing("\u{1b}[38;5;16;48;5;231m", with: "").replacing("\u{1b}[0m", with: "")
            return [cells.map { "▀█".contains($0) }, cells.map { "▄█".contains($0) }]
        }
        let width = try #require(rows.first?.count)
        #expect(width == 45)
        #expect(rows.allSatisfy { $0.count == width })
        #expect(rows.count == width + width % 2)
        let (low, high) = (4, width - 5)
        // Each corner but one is dark, with a light ring in it; around all there is nothing.
        for (row, column) in [(low, low), (low, high - 6), (high - 6, low)] {
            #expect(rows[row][column..<column + 7].allSatisfy { $0 })
            #expect(
                rows[row + 1][column..<column + 7].elementsEqual([
                    true, false, false, false, false, false, true,
                ]))
        }
        #expect(rows.prefix(4).joined().allSatisfy { !$0 })
        #expect(
            rows.allSatisfy { row in row.prefix(4).allSatisfy { !$0 } && row.suffix(4).allSatisfy { !$0 } })
    }
}
