import Foundation
import FoundationNetworking
import Subprocess
import TestSupport
import Testing

/// A small disk of a command's own, in its scratch directory: a tmpfs in a mount namespace. Where the rights for that are
/// missing the tests are left out.
private enum SmallDisk {
    static func isPossible() async -> Bool {
        guard let scratch = try? Scratch() else { return false }
        let outcome = try? await Tool.run(unshare, arguments(megabytes: 1, "true"), in: scratch)
        return outcome?.succeeded == true
    }

    static let unshare = "/usr/bin/unshare"

    /// What `unshare` is given to run a script with the disk; `$0` is the command.
    static func arguments(megabytes: Int, _ script: String) -> [String] {
        let mount = "mkdir disk && mount -t tmpfs -o size=\(megabytes)m tmpfs disk && "
        return ["-m", "sh", "-c", mount + script, Tool.path]
    }

    static func fill(_ path: String) throws {
        try Data().write(to: URL(fileURLWithPath: path))
        let file = try #require(FileHandle(forWritingAtPath: path))
        defer { try? file.close() }
        for size in [65_536, 4096, 1] {
            // Until there is no room for another piece.
            while (try? file.write(contentsOf: Data(count: size))) != nil {}
        }
    }
}

@Suite(.timeLimit(.minutes(4)), .enabled("mounts are allowed") { await SmallDisk.isPossible() })
struct FullDiskTests {
    let scratch: Scratch
    private let device = "0102030405060708"

    init() async throws {
        scratch = try Scratch()
        try await Tool.provision(device, in: scratch)
    }

    private func client(_ command: String..., to address: String) -> [String] {
        command + ["--to", address, "--device", device, "--root-key-file", "root.key"]
    }

    @Test func aGatewayWaitsForRoomAndThenGoesOn() async throws {
        let gateway = Victim(
            SmallDisk.arguments(
                megabytes: 3,
                """
                exec "$0" gateway --bind 127.0.0.1:0 --store gw.sqlite --spool disk/spool --sink-file out.jsonl \\
                    --metrics 127.0.0.1:0
                """), executable: SmallDisk.unshare, in: scratch)
        await gateway.start()
        let address = "127.0.0.1:\(try await gateway.errors.port(after: "listening on"))"
        let before = try await Tool.run(client("send", to: address) + ["--message", "before"], in: scratch)
        #expect(before.succeeded, "\(before.errors)")
        let filler = gateway.entry("root") + scratch.path + "/disk/fill"
        try SmallDisk.fill(filler)

        let lines = (1...200).map { "\($0)" }
        let (send, input) = (client("send", to: address), lines.joined(separator: "\n") + "\n")
        async let sending = Tool.run(send, in: scratch, input: input)
        try await eventually("/healthz says that the disk is full") {
            let (response, text) = try await gateway.get("healthz")
            return response.statusCode == 503 && text.contains("the disk is full")
        }
        _ = try await gateway.errors.first(containing: "devices wait, and it is tried again")
        #expect(!gateway.isEnded)
        try FileManager.default.removeItem(atPath: filler)

        let sent = try await sending
        #expect(sent.succeeded, "\(sent.errors)")
        #expect(sent.errors.contains("200 of 200"), "\(sent.errors)")
        _ = try await gateway.errors.first(containing: "can be written again")
        try await eventually("/healthz is well") { try await gateway.get("healthz").0.statusCode == 200 }
        try await eventually("the sink has all") {
            try scratch.read("out.jsonl").split(separator: "\n").count >= 201
        }
        gateway.send(SIGTERM)
        #expect(try await gateway.ended() == .exited(0))
        #expect(try scratch.read("out.jsonl").split(separator: "\n").count == 201)
    }

    @Test func whatADeviceHasGoesOut() async throws {
        let (scratch, device) = (scratch, device)
        _ = try await RunningGateway.with(["--store", "gw.sqlite"], in: scratch) { gateway in
            let options = "--device \(device) --root-key-file root.key"
            let script = """
                ! printf 'a\\nb\\nc\\n' | "$0" send --to 127.0.0.1:9 \(options) --outbox disk/outbox --timeout 300ms
                head -c 4m /dev/zero >disk/fill 2>/dev/null
                exec "$0" outbox flush --outbox disk/outbox --to \(gateway.address) \(options)
                """
            let flushed = try await Tool.run(
                SmallDisk.unshare, SmallDisk.arguments(megabytes: 1, script), in: scratch)
            #expect(flushed.succeeded, "\(flushed.errors)")
            #expect(flushed.errors.contains("ouroboros: 3 delivered"), "\(flushed.errors)")
            #expect(flushed.errors.contains("3 of them could not be taken out"), "\(flushed.errors)")
            #expect(try await gateway.texts(3) == ["a", "b", "c"])
        }
    }

    /// What waits goes out, and so does what cannot be stored, however much it is: it waits in memory for its turn.
    @Test func sendGoesOnFromMemory() async throws {
        let (scratch, device) = (scratch, device)
        _ = try await RunningGateway.with(["--store", "gw.sqlite"], in: scratch) { gateway in
            let options = "--device \(device) --root-key-file root.key --outbox disk/outbox"
            let script = """
                ! printf 'a\\nb\\n' | "$0" send --to 127.0.0.1:9 \(options) --timeout 300ms
                head -c 4m /dev/zero >disk/fill 2>/dev/null
                seq 2500 | "$0" send --to \(gateway.address) \(options)
                """
            let sent = try await Tool.run(
                SmallDisk.unshare, SmallDisk.arguments(megabytes: 1, script), in: scratch)
            #expect(sent.succeeded, "\(sent.errors)")
            #expect(sent.errors.contains("ouroboros: 2502 delivered\n"), "\(sent.errors)")
            let told = sent.errorLines.filter { $0.contains("so messages go out from memory") }
            #expect(told.count == 1 && told.first?.contains("the disk is full") == true, "\(sent.errors)")
            let texts = try await gateway.texts(2502)
            #expect(texts.sorted() == (["a", "b"] + (1...2500).map(String.init)).sorted())
        }
    }

    /// The gateway is away, too: what was written before waits, and what is lost is told.
    @Test func whatCanNeitherBeStoredNorSentIsTold() async throws {
        let options = "--to 127.0.0.1:9 --device \(device) --root-key-file root.key --outbox disk/outbox"
        let script = """
            ! echo a | "$0" send \(options) --timeout 300ms 2>/dev/null
            head -c 4m /dev/zero >disk/fill 2>/dev/null
            printf 'b\\nc\\n' | "$0" send \(options) --timeout 300ms
            """
        let sent = try await Tool.run(
            SmallDisk.unshare, SmallDisk.arguments(megabytes: 1, script), in: scratch)
        #expect(sent.status == .exited(1))
        let summary =
            "0 delivered, 1 waiting in the outbox for the next call, 2 lost, as the outbox could not be written"
        #expect(sent.errorLines.contains("ouroboros: \(summary)"), "\(sent.errors)")
    }

    @Test func aSensorGoesOn() async throws {
        let (scratch, device) = (scratch, device)
        _ = try await RunningGateway.with(["--store", "gw.sqlite"], in: scratch) { gateway in
            let sensor = Victim(
                SmallDisk.arguments(
                    megabytes: 1,
                    """
                    exec "$0" sensor --to \(gateway.address) --device \(device) --root-key-file root.key \\
                        --outbox disk/outbox --interval 100ms --command 'echo reading'
                    """), executable: SmallDisk.unshare, in: scratch)
            await sensor.start()
            _ = try await gateway.messages(2)
            let filler = sensor.entry("root") + scratch.path + "/disk/fill"
            try SmallDisk.fill(filler)
            _ = try await sensor.errors.first(containing: "the outbox cannot be written")
            let count = gateway.output.all.count
            _ = try await gateway.messages(count + 5)
            try FileManager.default.removeItem(atPath: filler)
            _ = try await sensor.errors.first(containing: "the outbox can be written again")
            sensor.send(SIGTERM)
            #expect(try await sensor.ended() == .exited(0))
        }
    }
}
