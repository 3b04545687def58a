import Foundation
import Subprocess
import TestSupport
import Testing

/// The gateway's configuration: flags over the environment over the file over defaults.
@Suite(.timeLimit(.minutes(6))) struct ConfigurationTests {
    let scratch: Scratch

    init() throws {
        scratch = try Scratch()
    }

    private func addDevice() async throws {
        try await Tool.provision("0102030405060708", in: scratch)
    }

    private func check(
        _ arguments: String..., environment: [Environment.Key: String?] = [:]
    ) async throws -> Tool.Outcome {
        try await Tool.run(
            ["gateway", "--check-config"] + arguments, in: scratch, environment: environment)
    }

    private func expectRefused(
        _ file: String, _ text: String, saying words: String...,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        try scratch.write(text, to: file)
        let outcome = try await check("--config", file)
        #expect(outcome.status == .exited(1), sourceLocation: sourceLocation)
        #expect(outcome.errorLines.count == 1, "\(outcome.errors)", sourceLocation: sourceLocation)
        #expect(outcome.output == "", sourceLocation: sourceLocation)
        for word in words + [file] {
            #expect(outcome.errors.contains(word), "\(outcome.errors)", sourceLocation: sourceLocation)
        }
    }

    @Test(arguments: [
        ("gw.json", #"{"store": "gw.sqlite", "places": 10, "reach": 16, "rekey-age": "2h", "echo": true}"#),
        ("gw.yaml", "store: gw.sqlite\nplaces: 10\nreach: 16\nrekey-age: 2h\necho: true\n"),
    ])
    func whatWins(file: String, text: String) async throws {
        try await addDevice()
        try scratch.write(text, to: file)
        let outcome = try await check(
            "--config", file, "--reach", "8", "--no-echo",
            environment: ["OUROBOROS_GATEWAY_PLACES": "11", "OUROBOROS_GATEWAY_REACH": "12"])
        #expect(outcome.succeeded, "\(outcome.errors)")
        #expect(outcome.lines.contains("reach: 8  # flag --reach"))
        #expect(outcome.lines.contains("echo: false  # flag --echo"))
        #expect(outcome.lines.contains("places: 11  # environment OUROBOROS_GATEWAY_PLACES"))
        #expect(outcome.lines.contains("rekey-age: \"2h\"  # file “\(file)”"))
        #expect(outcome.lines.contains("queue: 8192  # default"))
        // What is printed is a configuration itself.
        try scratch.write(outcome.output, to: "again.yaml")
        let again = try await check("--config", "again.yaml")
        #expect(again.succeeded, "\(again.errors)")
        #expect(again.lines.contains("reach: 8  # file “again.yaml”"))
    }

    @Test func aFleetIsChecked() async throws {
        try await addDevice()
        #expect(try await Tool.run(["keygen", "--out", "secret"], in: scratch).succeeded)
        let store = ["--store", "gw.sqlite"]
        let fleet = ["--gateway-number", "7", "--fleet-secret-file", "secret", "--workers", "2"]
        let good = try await Tool.run(
            ["gateway", "--check-config"] + store + fleet + [
                "--forward-bind", "127.0.0.1:0", "--peer", "8=127.0.0.1:5808", "--peer", "9=[::1]:5809",
            ], in: scratch)
        #expect(good.succeeded, "\(good.errors)")
        #expect(
            good.lines.contains("peer: \"8=127.0.0.1:5808,9=[::1]:5809\"  # flag --peer"), "\(good.output)")
        #expect(try await Tool.run(["keygen", "--out", "newer"], in: scratch).succeeded)
        let rotating = try await Tool.run(
            ["gateway", "--check-config"] + store + fleet + ["--fleet-secret-file", "newer"], in: scratch)
        #expect(rotating.succeeded, "\(rotating.errors)")
        #expect(
            rotating.lines.contains("fleet-secret-file: \"secret,newer\"  # flag --fleet-secret-file"),
            "\(rotating.output)")
        for (arguments, word) in [
            (store + fleet + ["--fleet-secret-file", "b", "--fleet-secret-file", "c"], "one path, or two"),
            (store + ["--gateway-number", "256"], "from 1 to 255"),
            (store + ["--fleet-secret-file", "secret"], "--gateway-number"),
            (store + ["--gateway-number", "1", "--peer", "2=127.0.0.1:1"], "--forward-bind"),
            (
                store + [
                    "--gateway-number", "1", "--forward-bind", "127.0.0.1:0", "--peer", "2=127.0.0.1:1",
                ],
                "--fleet-secret-file"
            ),
            (store + fleet + ["--forward-bind", "127.0.0.1:0", "--peer", "8"], "NUMBER=HOST:PORT"),
            (
                store + fleet + ["--forward-bind", "127.0.0.1:0", "--peer", "8=a:1", "--peer", "8=b:1"],
                "NUMBER=HOST:PORT"
            ),
            (store + ["--workers", "65"], "from 1 to 64"),
            (store + fleet + ["--registry", "postgres://x@y/z"], "takes the place of --store"),
            (["--registry", "postgres://x@y/z"], "--gateway-number"),
            (fleet + ["--registry", "postgres://x@y/z", "--sink-stdout"], "use “sink-mqtt” and “sink-http”"),
            (
                fleet + ["--registry", "postgres://x@y/z", "--downlink", "q.sqlite"],
                "“downlink” (flag --downlink) is “q.sqlite”: with “registry”"
            ),
            (fleet + ["--registry", "postgres://x@y/z", "--downlink", "registry"], "nobody could send"),
        ] {
            let refused = try await Tool.run(["gateway", "--check-config"] + arguments, in: scratch)
            #expect(refused.status == .exited(1))
            #expect(refused.errors.contains(word), "\(refused.errors)")
        }
    }

    @Test func unknownKeysAreErrors() async throws {
        try await expectRefused("a.json", #"{"store": "x", "metricz": "y"}"#, saying: "“metricz”")
        try await expectRefused("b.json", #"{"store": "x", "metricz": null}"#, saying: "“metricz”")
        try await expectRefused("c.json", #"{"store": {"path": "x"}}"#, saying: "“store.path”")
        try await expectRefused("d.yaml", "store: x\nfoo:\nbar: 1\n", saying: "“bar”, “foo”")
        let outcome = try await check(environment: ["OUROBOROS_GATEWAY_STOER": "x"])
        #expect(outcome.status == .exited(1))
        #expect(outcome.errors.contains("“OUROBOROS_GATEWAY_STOER”"))
    }

    @Test func valuesThatAreNone() async throws {
        try await expectRefused("a.json", #"{"bind": 5}"#, saying: "“bind”", "a string")
        try await expectRefused("b.json", #"{"reach": 3}"#, saying: "“reach”", "from 4 to 64")
        try await expectRefused("c.yaml", "places: many\n", saying: "“places”", "many")
        try await expectRefused("d.yaml", "rekey-age: soon\n", saying: "“rekey-age”", "24h")
        try await expectRefused("e.yaml", "metrics: nowhere\n", saying: "“metrics”", "HOST:PORT")
        try await expectRefused("f.yaml", "log-level: loud\n", saying: "“log-level”", "warning")
        try await expectRefused("g.yaml", "echo: perhaps\n", saying: "“echo”", "true or false")
        try await expectRefused("h.yaml", "store: \"\"\n", saying: "“store”", "empty")
        let flag = try await check("--places", "0")
        #expect(flag.errors.contains("“places” (flag --places) is “0”"), "\(flag.errors)")
    }

    @Test func filesThatAreNone() async throws {
        try await expectRefused("a.json", #"{"store": "#, saying: "cannot read the configuration")
        try await expectRefused("b.yaml", "store: [\n", saying: "cannot read the configuration")
        try await expectRefused("c.json", "[]", saying: "cannot read the configuration")
        try await expectRefused("d.toml", "", saying: ".json nor .yaml")
        let none = try await check("--config", "none.yaml")
        #expect(none.status == .exited(1))
        #expect(none.errors.contains("none.yaml"))
    }

    @Test func theStoreIsChecked() async throws {
        try await expectRefused("gw.yaml", "store: gw.yaml\n", saying: "no store of Ouroboros")
        try scratch.write("store: none.sqlite\n", to: "none.yaml")
        #expect(try await check("--config", "none.yaml").errors.contains("No such file"))
    }

    /// The guide has every key, with its default.
    @Test func everyKeyIsDocumented() async throws {
        let guide = try String(
            contentsOf: URL(fileURLWithPath: #filePath).deletingLastPathComponent()
                .appendingPathComponent("../../docs/USER_GUIDE.md"), encoding: .utf8)
        try await addDevice()
        let outcome = try await check("--store", "gw.sqlite")
        #expect(outcome.lines.count >= 16)
        for line in outcome.lines {
            let key = line.drop { $0 == "#" || $0 == " " }.prefix { $0 != ":" }
            let row = guide.split(separator: "\n").first { $0.hasPrefix("| `\(key)` |") }
            #expect(row != nil, "\(key)")
            if line.hasSuffix("# default"), let row {
                let value = line.dropFirst(key.count + 2).dropLast("  # default".count).replacing(
                    "\"", with: "")
                #expect(row.contains("| `\(value)` |"), "\(row)")
            }
        }
    }
}
