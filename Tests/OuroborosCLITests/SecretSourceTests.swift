import Foundation
import LibC
import Subprocess
import TestSupport
import Testing

/// Keys, passwords and tokens as shells, containers and systemd hand them over.
@Suite(.timeLimit(.minutes(6))) struct SecretSourceTests {
    let scratch: Scratch
    private let device = "0102030405060708"

    init() async throws {
        scratch = try Scratch()
        try await Tool.provision(device, in: scratch)
        try scratch.write("s3cret\n", to: "token")
    }

    /// Runs `script` in bash, in which "$0" "$@" is the command.
    private func bash(_ script: String, _ arguments: [String] = []) async throws -> Tool.Outcome {
        try await Tool.run("/bin/bash", ["-c", script, Tool.path] + arguments, in: scratch)
    }

    @Test func keysThroughDescriptors() async throws {
        _ = try await RunningGateway.with(["--store", "gw.sqlite"], in: scratch) { gateway in
            let to = ["--to", gateway.address, "--device", device]
            let commands = [
                "send --message a \"$@\" --root-key-file <(cat root.key)",
                "send --message b \"$@\" --root-key-file /dev/fd/7 7<root.key",
                "send --message c \"$@\" --root-key-file /dev/stdin <root.key",
                "sensor --count 1 --command 'echo d' \"$@\" --root-key-file <(cat root.key)",
                "sensor --lean --count 1 --command 'echo e' \"$@\" --root-key-file <(cat root.key)",
            ]
            for command in commands {
                let sent = try await bash("exec \"$0\" \(command)", to)
                #expect(sent.succeeded, "\(command): \(sent.errors)")
            }
            #expect(try await gateway.texts(5) == ["a", "b", "c", "d", "e"])
            try scratch.setMode(0o644, of: "root.key")
            let open = try await bash(
                "exec \"$0\" send --message x \"$@\" --root-key-file /dev/fd/7 7<root.key", to)
            #expect(open.errors.contains("chmod 600"), "\(open.errors)")
        }
    }

    /// Each secret of the gateway, from a pipe and from the environment.
    @Test func allOfTheGatewaysSecrets() async throws {
        let rest = [
            "--spool", "spool", "--sink-mqtt", "mqtt://127.0.0.1:1", "--mqtt-user", "me", "--sink-http",
            "http://127.0.0.1:1/", "--downlink", "down", "--gateway-number", "1", "--bind", "127.0.0.1:0",
        ]
        let secrets = [
            ("fleet-key", "root.key"), ("kek", "root.key"), ("fleet-secret", "root.key"),
            ("mqtt-password", "token"),
            ("http-token", "token"), ("downlink-token", "token"),
        ]
        let pipes = secrets.map { "--\($0)-file <(cat \($1))" }.joined(separator: " ")
        let piped = try await bash("exec \"$0\" gateway --check-config \"$@\" \(pipes)", rest)
        #expect(piped.succeeded, "\(piped.errors)")
        // They are read once: a gateway that serves has them still.
        let script =
            "\"$0\" gateway \"$@\" \(pipes) 2>log & until grep -q 'downlink on' log; do sleep 0.1; done; "
            + "port=$(sed -n 's/.*downlink on .* port //p' log); "
            + "curl -s -H 'Authorization: Bearer s3cret' http://127.0.0.1:$port/v1/devices/\(device)/messages/1; "
            + "kill $!; wait $!"
        let served = try await bash(script, rest + ["--downlink-http", "127.0.0.1:0"])
        #expect(served.succeeded, "\(served.errors)")
        #expect(served.output.contains("has no message 1"), "\(served.output)")

        let variables = secrets.flatMap { ["--\($0.0)-env", "SECRET_\($0.1.prefix(4).uppercased())"] }
        let key = try scratch.read("root.key")
        let fromEnvironment = try await Tool.run(
            ["gateway", "--check-config"] + rest + variables, in: scratch,
            environment: ["SECRET_ROOT": key, "SECRET_TOKE": "s3cret"])
        #expect(fromEnvironment.succeeded, "\(fromEnvironment.errors)")
        #expect(
            !fromEnvironment.output.contains("s3cret") && !fromEnvironment.output.contains(key.prefix(64)))
        // A fleet's secret is read when the gateway starts.
        for (secret, _) in secrets where secret != "fleet-secret" {
            let missing = try await Tool.run(
                ["gateway", "--check-config", "--store", "gw.sqlite"] + rest + [
                    "--\(secret)-env", "NO_SUCH",
                ],
                in: scratch)
            #expect(missing.status == .exited(1))
            #expect(missing.errors.contains("no variable NO_SUCH"), "\(secret): \(missing.errors)")
        }
        let both = try await Tool.run(
            ["gateway", "--check-config", "--fleet-key-file", "root.key", "--fleet-key-env", "X"], in: scratch
        )
        #expect(
            both.errors.contains("give one of --fleet-key-file and --fleet-key-env, not both"),
            "\(both.errors)")
    }

    @Test func aPassphraseFromTheEnvironment() async throws {
        let export = [
            "device", "export", "--store", "gw.sqlite", "--passphrase-env", "PHRASE", "--out", "out",
        ]
        let phrase: [Environment.Key: String?] = ["PHRASE": "long enough"]
        let exported = try await Tool.run(export, in: scratch, environment: phrase)
        #expect(exported.succeeded, "\(exported.errors)")
        let imported = try await bash(
            "exec \"$0\" device import --store other --in out --passphrase-file <(echo 'long enough')")
        #expect(imported.succeeded, "\(imported.errors)")
    }

    /// A directory of secrets as Docker and Kubernetes mount it; and the same where it can be written, or is another's.
    @Test(
        .enabled(if: geteuid() == 0),
        arguments: [
            ("0444", "0:0", "ro", true), ("0440", "0:1000", "ro", true), ("0644", "0:0", "ro", true),
            ("0444", "0:0", "rw", false), ("0444", "1000:0", "ro", false), ("0664", "0:1000", "ro", false),
            ("0400", "1000:0", "ro", true),
        ])
    func secretsOfContainers(mode: String, owner: String, mount: String, isTaken: Bool) async throws {
        let script = """
            set -e; mkdir secrets; mount -t tmpfs none secrets; cp root.key token secrets; chmod \(mode) secrets/*
            chown \(owner) secrets/*; mount -o remount,\(mount) secrets
            exec "$0" gateway --check-config --store gw.sqlite --fleet-key-file secrets/root.key --downlink down \
                --downlink-token-file secrets/token
            """
        let outcome = try await Tool.run(
            "/usr/bin/unshare", ["--mount", "/bin/bash", "-c", script, Tool.path], in: scratch)
        #expect(outcome.succeeded == isTaken, "\(outcome.errors)")
        if isTaken, mode != "0400" {
            for name in ["root.key", "token"] {
                let said = outcome.errorLines.filter {
                    $0.contains("“secrets/\(name)” can be read by others here")
                }
                #expect(said.count == 1, "\(outcome.errors)")
            }
        } else {
            #expect(outcome.errors.contains("chmod 600") == !isTaken, "\(outcome.errors)")
        }
    }
}
