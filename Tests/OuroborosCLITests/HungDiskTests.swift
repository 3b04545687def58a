import Foundation
import FoundationNetworking
import LibC
import Subprocess
import TestSupport
import Testing

/// A disk that stops to answer: a file system of the gateway's own, which is frozen. It takes root and loop devices.
private enum Freezer {
    /// What comes after it has the file system at `disk`. It freezes once there is a file `freeze`, and thaws with `thaw`,
    /// or after a minute.
    private static let prepare = """
        truncate -s 32m image && mkfs.ext4 -q image && mkdir disk && mount -o loop image disk || exit 9
        (
            while [ ! -e freeze ]; do sleep 0.1; done
            fsfreeze -f disk && touch frozen
            for turn in $(seq 600); do [ -e thaw ] && break; sleep 0.1; done
            fsfreeze -u disk
        ) >/dev/null 2>&1 &

        """

    static let unshare = "/usr/bin/unshare"

    /// What `unshare` is given to run a script with it; `$0` is the command.
    static func arguments(_ script: String) -> [String] {
        ["-m", "sh", "-c", prepare + script, Tool.path]
    }

    static func isPossible() async -> Bool {
        guard let scratch = try? Scratch() else { return false }
        let script = "touch freeze thaw; wait; [ -e frozen ]"
        return (try? await Tool.run(unshare, arguments(script), in: scratch))?.succeeded == true
    }
}

@Suite(.timeLimit(.minutes(3)), .enabled("file systems can be frozen") { await Freezer.isPossible() })
struct HungDiskTests {
    private let device = "0102030405060708"

    /// Its thread cannot be ended, but everything else goes on, and the gateway ends in time.
    @Test func aGatewayWhoseDiskHangsSaysSoAndEnds() async throws {
        let scratch = try Scratch()
        try await Tool.provision(device, in: scratch)
        let gateway = Victim(
            Freezer.arguments(
                """
                exec "$0" gateway --bind 127.0.0.1:0 --store gw.sqlite --spool disk/spool --metrics 127.0.0.1:0
                """), executable: Freezer.unshare, in: scratch)
        await gateway.start()
        defer { try? scratch.write("", to: "thaw") }
        let address = "127.0.0.1:\(try await gateway.port(of: "listening on"))"
        let send = ["send", "--to", address, "--device", device, "--root-key-file", "root.key", "--message"]
        #expect(try await Tool.run(send + ["before"], in: scratch).succeeded)
        try scratch.write("", to: "freeze")
        try await eventually("the disk hangs") { scratch.exists("frozen") }

        let sender = Victim(send + ["during"], in: scratch)
        await sender.start()
        try await gateway.errors.first(containing: "disk/spool” does not answer: its disk hangs")
        let (response, text) = try await gateway.get("healthz")
        #expect(response.statusCode == 503 && text.contains("its disk hangs"), "\(text)")
        gateway.send(SIGTERM)
        try await gateway.errors.first(containing: "the spool takes no more", within: .seconds(25))
        // The system keeps the process for as long as its disk does.
        try scratch.write("", to: "thaw")
        #expect(try await gateway.ended() == .exited(1))
        #expect(try await sender.ended() == .exited(1))
    }
}
