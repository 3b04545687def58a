import Foundation
import Subprocess
import SystemPackage
import TestSupport
import Testing

/// `decode`, `vectors`, `analyze`, the trace and the key log, as users call them.
@Suite(.timeLimit(.minutes(6))) struct AnalysisTests {
    let scratch: Scratch
    private let device = "0102030405060708"

    init() throws {
        scratch = try Scratch()
    }

    private static let good =
        "11010012cfe227160000000000000000f5f942e57253128b99e10dc40fffc6265ac5e46fd23ba832a380f9b65d284bc5f5ac"

    @Test func aPacketIsDecoded() async throws {
        let outcome = try await Tool.run(["decode", Self.good], in: scratch)
        #expect(outcome.succeeded)
        #expect(outcome.lines.contains("type        DATA"))
        #expect(outcome.lines.contains("session     cfe22716"))
        let cut = try await Tool.run(["decode", "--json", String(Self.good.dropLast(2))], in: scratch)
        #expect(cut.status == .exited(1))
        #expect(cut.output.contains("\"malformed\":\"Length does not fit the packet's size\""))
        let limited = try await Tool.run(["decode", "1100004100000001" + "00"], in: scratch)
        #expect(limited.output.contains("shorter than 32 bytes"))
        #expect(try await Tool.run(["decode", "xyz"], in: scratch).errors.contains("not hexadecimal"))
    }

    /// A capture of raw IP with the first session of a vector file.
    private func capture() async throws -> (root: String, device: String) {
        let vectors = try await Tool.run(["vectors", "--seed", "9"], in: scratch)
        let file = try JSONSerialization.jsonObject(with: Data(vectors.output.utf8)) as? [String: Any]
        let session = try #require((file?["sessions"] as? [[String: Any]])?.first)
        let packets = try #require(session["packets"] as? [[String: Any]])
        var all = [(session["hello"] as? String, true), (session["welcome"] as? String, false)]
        all += packets.map { ($0["packet"] as? String, $0["direction"] as? String == "c2s") }
        var bytes = Data([
            0xa1, 0xb2, 0xc3, 0xd4, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 101,
        ])
        for (hex, isUp) in all {
            let packet = try #require(hex)
            let count = packet.count / 2
            func be(_ number: Int, _ size: Int) -> [UInt8] {
                (0..<size).reversed().map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
            }
            let (client, server): ([UInt8], [UInt8]) = ([192, 0, 2, 9], [192, 0, 2, 1])
            let ports = isUp ? be(4000, 2) + be(5700, 2) : be(5700, 2) + be(4000, 2)
            bytes += be(1, 4) + be(0, 4) + be(count + 28, 4) + be(count + 28, 4)
            bytes += [0x45, 0] + be(count + 28, 2) + [0, 0, 0, 0, 64, 17, 0, 0]
            bytes += (isUp ? client + server : server + client) + ports + be(count + 8, 2) + [0, 0]
            var rest = packet[...]
            while !rest.isEmpty {
                bytes.append(try #require(UInt8(rest.prefix(2), radix: 16)))
                rest = rest.dropFirst(2)
            }
        }
        try bytes.write(to: URL(fileURLWithPath: scratch.file("x.pcap")))
        return (
            try #require(session["root_key"] as? String), try #require(session["device_id"] as? String)
        )
    }

    private func objects(_ outcome: Tool.Outcome) throws -> [[String: Any]] {
        try outcome.lines.map { line in
            try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        }
    }

    @Test func aCaptureIsAnalysedAndOpenedOnlyWhenAsked() async throws {
        let (root, device) = try await capture()
        try scratch.write(root + "\n", to: "root.key")
        let plain = try await Tool.run(["analyze", "x.pcap", "--json"], in: scratch)
        #expect(plain.succeeded, "\(plain.errors)")
        let reports = try objects(plain)
        #expect(reports.count == 20)
        #expect(reports.first?["type"] as? String == "HELLO")
        #expect(reports.first?["device"] as? String == device)
        #expect(reports.last?["handshakes"] as? Int == 1)
        // Counters 4 and 5 were never sent.
        #expect(reports.last?["c2s_missing_messages"] as? Int == 2)
        let keys = ["--root-key-file", "root.key", "--device", device]
        let silent = try await Tool.run(["analyze", "x.pcap"] + keys, in: scratch)
        #expect(silent.output.contains("packets opened: 17"))
        #expect(!silent.output.contains("set 5") && !silent.output.contains("acknowledges"))
        let open = try await Tool.run(["analyze", "x.pcap", "--payloads"] + keys, in: scratch)
        #expect(open.output.contains("5 bytes: “set 5”"))
        #expect(open.output.contains("acknowledges 6, bitmap 000000000000003c"))
        for outcome in [plain, silent, open] {
            #expect(!outcome.output.contains(root) && !outcome.errors.contains(root))
        }
        let noKeys = try await Tool.run(["analyze", "x.pcap", "--payloads"], in: scratch)
        #expect(noKeys.errors.contains("--payloads needs keys"))
    }

    @Test func aCutCaptureIsReadAsFarAsItGoes() async throws {
        _ = try await capture()
        let whole = try Data(contentsOf: URL(fileURLWithPath: scratch.file("x.pcap")))
        try whole.dropLast(7).write(to: URL(fileURLWithPath: scratch.file("cut.pcap")))
        let cut = try await Tool.run(["analyze", "cut.pcap", "--json"], in: scratch)
        #expect(cut.succeeded)
        #expect(try objects(cut).count == 19)
        #expect(cut.errors.contains("the capture ends early"))
        try scratch.write("no capture", to: "bad.pcap")
        #expect(try await Tool.run(["analyze", "bad.pcap"], in: scratch).status == .exited(1))
        #expect(try await Tool.run(["analyze"], in: scratch).errors.contains("give a file or --interface"))
    }

    @Test func tracesAndKeyLogsAreWrittenWhenAskedFor() async throws {
        try await Tool.provision(device, ["--evolving"], in: scratch)
        let (scratch, device) = (scratch, device)
        _ = try await RunningGateway.with(["--store", "gw.sqlite", "--key-log", "gw.log"], in: scratch) {
            gateway in
            let send = [
                "send", "--to", gateway.address, "--device", device, "--root-key-file", "root.key",
                "--evolving", "--state", "state", "--message", "a secret",
            ]
            let traced = try await Tool.run(
                send + ["--key-log", "client.log"], in: scratch, environment: ["OUROBOROS_TRACE": "1"])
            #expect(traced.succeeded, "\(traced.errors)")
            #expect(traced.errors.contains("ouroboros: warning: --key-log"))
            let trace = traced.errorLines.filter { $0.hasPrefix("ouroboros: trace: ") }
            #expect(trace.first?.contains("-> HELLO EVOLVING epoch 0") == true)
            #expect(trace.contains { $0.contains("<- WELCOME session ") })
            #expect(trace.contains { $0.contains("-> DATA ACK_REQ session ") })
            #expect(!traced.errors.contains("a secret"))
            let quiet = try await Tool.run(send, in: scratch, environment: ["OUROBOROS_TRACE": "0"])
            #expect(!quiet.errors.contains("trace"))
        }
        // Both ends know the same secrets.
        let client = try scratch.read("client.log")
        #expect(client.hasPrefix("OUROBOROS_SESSION_V1 "))
        #expect(client.split(separator: "\n").count == 1)
        let server = try scratch.read("gw.log").split(separator: "\n").map(String.init)
        #expect(server.count == 2)
        #expect(server.first == client.split(separator: "\n").first.map(String.init))
        #expect(try scratch.mode(of: "client.log") == 0o600)
        let root = try scratch.read("root.key").trimmingCharacters(in: .newlines)
        #expect(!client.contains(root))
        // One that others can read is refused.
        try scratch.write("", to: "open.log", mode: 0o644)
        let refused = try await Tool.run(
            [
                "ping", "--to", "127.0.0.1:9", "--device", device, "--root-key-file", "root.key", "--key-log",
                "open.log",
            ],
            in: scratch)
        #expect(refused.status == .exited(1))
        #expect(refused.errors.contains("chmod 600"))
    }

    /// Why does my device not connect?
    @Test func aTraceTellsWhyAHandshakeFails() async throws {
        #expect(try await Tool.run(["keygen", "--out", "other.key"], in: scratch).succeeded)
        try await Tool.provision(device, in: scratch)
        let (scratch, device) = (scratch, device)
        _ = try await RunningGateway.with(
            ["--store", "gw.sqlite"], in: scratch, environment: ["OUROBOROS_TRACE": "1"]
        ) { gateway in
            for (id, word) in [
                (device, "dropped, authentication"), ("ffffffffffffffff", "dropped, handshake"),
            ] {
                let ping = try await Tool.run(
                    [
                        "ping", "--to", gateway.address, "--device", id, "--root-key-file", "other.key",
                        "--timeout", "200ms",
                    ], in: scratch)
                #expect(!ping.succeeded)
                try await eventually("the trace tells “\(word)” of \(id)") {
                    gateway.errors.all.contains { $0.contains("<- ") && $0.contains(id) && $0.contains(word) }
                }
            }
        }
    }

    /// Where the system lets us listen. Nothing comes, and a signal ends it all the same.
    @Test(arguments: [Signal.interrupt, .terminate]) func listeningEndsAtASignal(signal: Signal) async throws
    {
        let listener = Victim(["analyze", "--interface", "lo", "--port", "1", "--json"], in: scratch)
        await listener.start()
        // It is gone already where listening is not allowed.
        try await eventually("it listens") { listener.isEnded || hasPacketSocket(listener) }
        listener.send(signal.rawValue)
        let status = try await listener.ended()
        if listener.errors.all.contains(where: { $0.contains("CAP_NET_RAW") }) {
            #expect(status == .exited(1))
        } else {
            #expect(status == .exited(0))
            #expect(listener.output.all.contains { $0.contains("\"statistics\":1") })
        }
    }

    private func hasPacketSocket(_ process: Victim) -> Bool {
        let folder = process.entry("fd")
        let files = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        let sockets = (try? String(contentsOfFile: process.entry("net/packet"), encoding: .utf8)) ?? ""
        let numbers = Set(sockets.split(separator: "\n").compactMap { $0.split(separator: " ").last })
        return files.contains { file in
            let target = try? FileManager.default.destinationOfSymbolicLink(atPath: "\(folder)/\(file)")
            guard let target, target.hasPrefix("socket:[") else { return false }
            return numbers.contains(target.dropFirst(8).dropLast())
        }
    }
}
