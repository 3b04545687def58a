import Foundation
import LibC
import Subprocess
import TestSupport
import Testing

/// The command as a bad network between `send` and `gateway`.
@Suite(.timeLimit(.minutes(6))) struct ImpairTests {
    let scratch: Scratch
    private let device = "0102030405060708"

    init() throws {
        scratch = try Scratch()
    }

    private func client(_ address: String, _ more: String...) -> [String] {
        ["send", "--to", address, "--device", device, "--root-key-file", "root.key"] + more
    }

    @Test func messagesSurviveABadPath() async throws {
        try await Tool.provision(device, in: scratch)
        let texts = (0..<60).map { "line \($0)" }
        _ = try await RunningGateway.with(["--store", "gw.sqlite"], in: scratch) { gateway in
            let arguments = [
                "impair", "--listen", "127.0.0.1:0", "--to", gateway.address, "--loss", "10%", "--delay",
                "10ms±5ms", "--duplicate", "20%", "--reorder", "10%", "--reorder-by", "20ms", "--corrupt",
                "5%", "--rate", "1mbit", "--mtu", "1280", "--rebind", "500ms", "--seed", "7",
            ]
            let status = try await RunningGateway.with(Tool.path, arguments, in: scratch, signal: .interrupt)
            {
                path in
                let sent = try await Tool.run(
                    client(path.address), in: scratch, input: texts.joined(separator: "\n") + "\n")
                #expect(sent.succeeded, "seed 7: \(sent.errors)")
                #expect(path.errors.all.contains("ouroboros: seed 7"))
                path.terminate(.interrupt)
                try await path.output.waitForEnd()
                let output = path.output.all
                #expect(output.count == 3)
                for (line, way) in zip(output, ["to gateway", "to device"]) {
                    #expect(line.hasPrefix("\(way): sent "), "\(output)")
                    #expect(!line.contains(" lost 0,") && !line.contains(" repeated 0,"), "\(output)")
                }
                #expect(output.last?.hasPrefix("devices 1, new ports ") == true, "\(output)")
            }
            #expect(status == .exited(0))
            #expect(try await gateway.texts(texts.count).sorted() == texts.sorted())
        }
    }

    /// It is killed while messages are under way, and comes back at the same port.
    @Test func aGatewayRestartsMidTransfer() async throws {
        try await Tool.provision(device, in: scratch)
        let address = OwnAddress.next()
        let gateway = { @Sendable [scratch] () async throws -> Victim in
            let gateway = Victim(["gateway", "--store", "gw.sqlite", "--bind", address], in: scratch)
            await gateway.start()
            try await gateway.errors.first(containing: "listening on")
            return gateway
        }
        let first = try await gateway()
        let lives = try await withImpairment(to: address) { path -> [Victim] in
            let (lines, input) = AsyncStream.makeStream(of: String.self)
            let sender = Victim(
                client(path, "--state", "dev", "--outbox", "dev", "--receipts"), in: scratch, input: lines)
            await sender.start()
            for number in 0..<30 { input.yield("before \(number)") }
            _ = try await sender.output.atLeast(10)
            for number in 0..<30 { input.yield("during \(number)") }
            try await first.killed()
            let second = try await gateway()
            for number in 0..<30 { input.yield("after \(number)") }
            input.finish()
            #expect(try await sender.ended() == .exited(0), "\(sender.errors.all)")
            let all = ["before", "during", "after"].flatMap { name in (0..<30).map { "\(name) \($0)" } }
            #expect(sender.output.all.sorted() == all.sorted())
            second.send(SIGTERM)
            #expect(try await second.ended() == .exited(0))
            return [first, second]
        }
        // Each line that was acknowledged was handed on, and once a session.
        let messages = lives.flatMap(\.output.all).compactMap { line in
            (try? JSONSerialization.jsonObject(with: Data(line.utf8))) as? [String: any Sendable]
        }
        #expect(Set(messages.compactMap { $0["text"] as? String }).count == 90)
        let inSessions = messages.map { "\($0["session"] ?? "") \($0["text"] ?? "")" }
        #expect(Set(inSessions).count == messages.count)
    }

    private func withImpairment<Result: Sendable>(
        to address: String, _ body: @Sendable @escaping (String) async throws -> Result
    ) async throws -> Result {
        let path = Victim(
            [
                "impair", "--listen", "127.0.0.1:0", "--to", address, "--loss", "5%", "--delay", "10ms±5ms",
                "--seed", "11",
            ], in: scratch)
        await path.start()
        let result = try await body("127.0.0.1:\(try await path.port(of: "listening on"))")
        path.send(SIGTERM)
        #expect(try await path.ended() == .exited(0))
        return result
    }

    @Test(arguments: [
        (["--loss", "10"], "--loss is a share from 0% to 100%"), (["--loss", "101%"], "not “101%”"),
        (["--corrupt", "x%"], "--corrupt is a share"), (["--reorder=-1%"], "--reorder is a share"),
        (["--delay", "fast"], "such as 50ms or 50ms±20ms"), (["--delay", "1s±"], "not “1s±”"),
        (["--delay", "1s±1s±1s"], "--delay is a time"), (["--rate", "1mb"], "such as 1mbit"),
        (["--rate", "0kbit"], "--rate is bits a second"), (["--mtu", "0"], "mtu is at least 1"),
        (["--queue", "0"], "queue is at least 1"), (["--rebind", "1ms"], "every 10 ms at most"),
        (["--delay", "2h"], "from 0 to an hour"), (["--to", "nowhere"], "write HOST:PORT"),
    ])
    func whatCannotBeIsRefused(arguments: [String], text: String) async throws {
        let outcome = try await Tool.run(
            ["impair", "--listen", "127.0.0.1:0", "--to", "127.0.0.1:9"] + arguments, in: scratch)
        #expect(outcome.status == .exited(1), "\(outcome.status) \(outcome.errors)")
        #expect(outcome.errorLines.count == 1 && outcome.errors.contains(text), "\(outcome.errors)")
    }
}
