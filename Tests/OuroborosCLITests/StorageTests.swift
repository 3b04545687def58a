import Foundation
import Subprocess
import SystemPackage
import TestSupport
import Testing

/// Sealed stores, and devices that move from one to another.
@Suite(.timeLimit(.minutes(6))) struct StorageTests {
    let scratch: Scratch
    private let device = "0102030405060708"

    init() throws {
        scratch = try Scratch()
    }

    private func run(_ arguments: String...) async throws -> Tool.Outcome {
        try await Tool.run(arguments, in: scratch)
    }

    private func expectRefused(
        _ arguments: [String], saying text: String, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let outcome = try await Tool.run(arguments, in: scratch)
        #expect(outcome.status == .exited(1), "\(outcome.status)", sourceLocation: sourceLocation)
        #expect(outcome.errorLines.count == 1, "\(outcome.errors)", sourceLocation: sourceLocation)
        #expect(outcome.errors.contains(text), "\(outcome.errors)", sourceLocation: sourceLocation)
    }

    private func prepare(store: String = "gw.sqlite", _ more: String...) async throws {
        for key in ["root.key", "kek"] where !scratch.exists(key) {
            #expect(try await run("keygen", "--out", key).succeeded)
        }
        let add = try await Tool.run(
            ["device", "add", "--store", store, "--device", device, "--root-key-file", "root.key"] + more,
            in: scratch)
        #expect(add.succeeded, "\(add.errors)")
        #expect(add.errors.contains("not sealed") == !more.contains("--kek-file"))
    }

    private func send(_ gateway: RunningGateway, _ more: String...) -> [String] {
        ["send", "--to", gateway.address, "--device", device, "--message", "hi"] + more
    }

    @Test func aKeyFromSystemdMayBeReadByItsGroup() async throws {
        let credentials = scratch.file("credentials")
        try FileManager.default.createDirectory(atPath: credentials, withIntermediateDirectories: true)
        #expect(try await run("keygen", "--out", "fleet.key").succeeded)
        try scratch.write(try scratch.read("fleet.key"), to: "credentials/fleet.key", mode: 0o440)
        let derive = ["keygen", "--device", device, "--fleet-key-file", credentials + "/fleet.key"]
        try await expectRefused(derive, saying: "can be used by others")
        let derived = try await Tool.run(
            derive, in: scratch, environment: ["CREDENTIALS_DIRECTORY": credentials])
        #expect(derived.succeeded, "\(derived.errors)")
    }

    @Test func aSealedGatewayAndASealedDevice() async throws {
        try await prepare("--kek-file", "kek", "--evolving")
        let kek = try scratch.read("kek")
        let credentials = scratch.file("credentials")
        try FileManager.default.createDirectory(atPath: credentials, withIntermediateDirectories: true)
        // As systemd makes it, with an access list that shows as a group's right.
        try scratch.write(kek, to: "credentials/ouroboros-kek", mode: 0o440)
        let client = ["--evolving", "--state", "state", "--kek-env", "KEK", "--root-key-file", "root.key"]
        let (scratch, device) = (scratch, device)
        _ = try await RunningGateway.with(["--store", "gw.sqlite", "--kek-file", "kek"], in: scratch) {
            gateway in
            for _ in 1...2 {
                let sent = try await Tool.run(
                    send(gateway) + client, in: scratch, environment: ["KEK": kek])
                #expect(sent.succeeded, "\(sent.errors)")
            }
            let fromSystemd = try await Tool.run(
                send(gateway) + ["--evolving", "--state", "state"], in: scratch,
                environment: ["CREDENTIALS_DIRECTORY": credentials])
            #expect(fromSystemd.succeeded, "\(fromSystemd.errors)")
            try await expectRefused(
                send(gateway) + ["--evolving", "--state", "state"], saying: "--kek-file")
        }
        let root = try #require(Data(hex: scratch.read("root.key")))
        for file in try FileManager.default.contentsOfDirectory(atPath: scratch.path)
        where file.hasPrefix("gw.sqlite") || file.hasPrefix("state") {
            #expect(try Data(contentsOf: URL(fileURLWithPath: scratch.file(file))).range(of: root) == nil)
        }
        let shown = try await run("device", "show", "--store", "gw.sqlite", "--device", device)
        #expect(shown.succeeded)
        for line in ["kind\tevolving", "epoch\t3", "key\tsealed", "sessions\t3", "messages\t3", "bytes\t6"] {
            #expect(shown.lines.contains(line), "\(line) in \(shown.output)")
        }
        #expect(!shown.output.contains("never"))
    }

    @Test func aStoreWithoutItsKey() async throws {
        try await prepare("--kek-file", "kek")
        #expect(try await run("keygen", "--out", "other").succeeded)
        let gateway = ["gateway", "--store", "gw.sqlite", "--bind", "127.0.0.1:0"]
        try await expectRefused(gateway, saying: "--kek-file")
        try await expectRefused(gateway + ["--kek-file", "other"], saying: "another key-encryption key")
        try await expectRefused(gateway + ["--kek-file", "none"], saying: "No such file")
        try await expectRefused(gateway + ["--kek-file", "kek", "--kek-env", "X"], saying: "not both")
        try scratch.write(scratch.read("kek"), to: "open", mode: 0o644)
        try await expectRefused(gateway + ["--kek-file", "open"], saying: "chmod 600")
        let add = ["device", "add", "--store", "gw.sqlite", "--device", "1111111111111111"]
        try await expectRefused(add + ["--root-key-file", "root.key"], saying: "--kek-file")
        #expect(try await run("device", "list", "--store", "gw.sqlite").lines.count == 1)
        let export = ["device", "export", "--store", "gw.sqlite", "--out", "export", "--kek-file", "kek"]
        #expect(try await Tool.run(export, in: scratch).succeeded)
        // One that is not sealed does not become so in silence.
        try await prepare(store: "plain.sqlite")
        try await expectRefused(
            ["gateway", "--store", "plain.sqlite", "--bind", "127.0.0.1:0", "--kek-file", "kek"],
            saying: "not sealed")
    }

    @Test func devicesMoveSealed() async throws {
        try await prepare("--evolving", "--name", "kitchen")
        try scratch.write("correct horse\n", to: "pass")
        try await expectRefused(
            ["device", "export", "--store", "gw.sqlite", "--out", "a.export"], saying: "always sealed")
        #expect(
            try await run(
                "device", "export", "--store", "gw.sqlite", "--out", "a.export", "--passphrase-file", "pass"
            ).succeeded)
        #expect(
            try await run(
                "device", "export", "--store", "gw.sqlite", "--out", "b.export", "--kek-file", "kek",
                "--device", device
            ).succeeded)
        #expect(try scratch.mode(of: "a.export") == 0o600)
        try await expectRefused(
            ["device", "export", "--store", "gw.sqlite", "--out", "a.export", "--passphrase-file", "pass"],
            saying: "exists already")
        // A store that is not sealed becomes a sealed one that way.
        for file in ["a.export", "b.export"] {
            let store = "from-\(file)"
            let secret = file == "a.export" ? ["--passphrase-file", "pass"] : []
            let imported = try await Tool.run(
                ["device", "import", "--store", store, "--in", file, "--kek-file", "kek"] + secret,
                in: scratch)
            #expect(imported.succeeded, "\(imported.errors)")
            _ = try await RunningGateway.with(["--store", store, "--kek-file", "kek"], in: scratch) {
                gateway in
                let sent = try await Tool.run(
                    send(gateway, "--root-key-file", "root.key", "--evolving", "--state", "\(file).state"),
                    in: scratch)
                #expect(sent.succeeded, "\(sent.errors)")
            }
            let shown = try await run("device", "show", "--store", store, "--device", device)
            #expect(shown.lines.contains("name\tkitchen") && shown.lines.contains("key\tsealed"))
            try await expectRefused(
                ["device", "import", "--store", store, "--in", file, "--kek-file", "kek"] + secret,
                saying: "already")
        }
        try scratch.write("incorrect horse\n", to: "wrong")
        try await expectRefused(
            ["device", "import", "--store", "c", "--in", "a.export", "--passphrase-file", "wrong"],
            saying: "does not open")
        #expect(!scratch.exists("c"))
    }

    @Test func aRotatedDeviceNeedsItsNewKey() async throws {
        try await prepare("--evolving")
        let (scratch, device) = (scratch, device)
        _ = try await RunningGateway.with(["--store", "gw.sqlite"], in: scratch) { gateway in
            let first = send(gateway, "--evolving", "--state", "old.state", "--root-key-file", "root.key")
            #expect(try await Tool.run(first, in: scratch).succeeded)
            let rotate = ["device", "rotate", "--store", "gw.sqlite", "--device", device]
            try await expectRefused(rotate, saying: "--out")
            let rotated = try await Tool.run(rotate + ["--out", "new.key"], in: scratch)
            #expect(rotated.succeeded, "\(rotated.errors)")
            #expect(try scratch.mode(of: "new.key") == 0o600)
            let late = try await Tool.run(
                send(gateway, "--evolving", "--state", "old.state", "--timeout", "500ms"), in: scratch)
            #expect(!late.succeeded)
            let sent = try await Tool.run(
                send(gateway, "--evolving", "--state", "new.state", "--root-key-file", "new.key"),
                in: scratch)
            #expect(sent.succeeded, "\(sent.errors)")
        }
        let shown = try await run("device", "show", "--store", "gw.sqlite", "--device", device)
        #expect(shown.lines.contains("epoch\t1"))
        try await expectRefused(
            [
                "device", "rotate", "--store", "gw.sqlite", "--device", "1111111111111111", "--out", "x.key",
            ], saying: "no device 1111111111111111")
        #expect(!scratch.exists("x.key"))
    }

    @Test func aSessionEndsWhenItsDeviceIsRotated() async throws {
        try await prepare()
        let (scratch, device) = (scratch, device)
        _ = try await RunningGateway.with(["--store", "gw.sqlite"], in: scratch) { gateway in
            let sensor = Victim(
                [
                    "sensor", "--to", gateway.address, "--device", device, "--root-key-file", "root.key",
                    "--interval", "20ms",
                ], in: scratch)
            await sensor.start()
            _ = try await gateway.messages(1)
            let rotated = try await Tool.run(
                ["device", "rotate", "--store", "gw.sqlite", "--device", device, "--out", "new.key"],
                in: scratch)
            #expect(rotated.succeeded)
            try await gateway.errors.first(containing: "disconnected")
            try await sensor.killed()
        }
    }
}

extension Data {
    fileprivate init?(hex text: String) {
        self.init()
        var high: UInt8?
        for digit in text where digit.isHexDigit {
            guard let value = digit.hexDigitValue.map(UInt8.init) else { return nil }
            if let first = high.take() {
                append(first << 4 | value)
            } else {
                high = value
            }
        }
    }
}
