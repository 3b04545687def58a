import Foundation
import LibC
import Ouroboros
import OuroborosPostgres
import Subprocess
import SystemPackage
import TestSupport

/// A PostgreSQL of a test's own, on a socket in a folder that goes away with it. It refuses to run as root: there it
/// runs as the user that Debian's package made for it.
final class PostgresCluster: Sendable {
    /// Short: a socket's path has 107 bytes at most.
    let path: String
    private let programs: String
    /// An empty one takes a second and a half to make: all tests of a process copy one.
    private static let empty = Task { try await makeEmpty() }

    private init(_ path: String, programs: String) {
        self.path = path
        self.programs = programs
    }

    static func with(_ body: @Sendable (PostgresCluster) async throws -> Void) async throws {
        let empty = try await empty.value
        let cluster = PostgresCluster(try await ownFolder(), programs: empty.programs)
        do {
            _ = try await asOwner("cp", ["-R", empty.path + "/data", cluster.path])
            try await cluster.start()
            try await body(cluster)
        } catch {
            await cluster.end()
            throw error
        }
        await cluster.end()
    }

    var url: String { "postgres://gateway@/postgres?host=\(path)" }
    var location: PostgresLocation { get throws { try PostgresLocation(url) } }

    func start() async throws {
        _ = try await run(
            "pg_ctl",
            [
                "-D", path + "/data", "-w", "-l", path + "/log", "-o",
                "-k \(path) -c listen_addresses= -c fsync=off",
                "start",
            ])
    }

    /// As if it had crashed.
    func stop() async throws {
        _ = try await run("pg_ctl", ["-D", path + "/data", "-m", "immediate", "-w", "stop"])
    }

    private func end() async {
        // A test that is cancelled leaves no database behind either.
        await Task { try? await stop() }.value
        try? FileManager.default.removeItem(atPath: path)
    }

    private static func makeEmpty() async throws -> PostgresCluster {
        let programs = try await output("pg_config", ["--bindir"])
        let cluster = PostgresCluster(try await ownFolder(), programs: programs)
        EmptyCluster.path.withLock { $0 = cluster.path }
        atexit { EmptyCluster.remove() }
        _ = try await cluster.run(
            "initdb", ["-D", cluster.path + "/data", "-A", "trust", "-N", "-U", "gateway"])
        return cluster
    }

    private static func ownFolder() async throws -> String {
        let path = "/tmp/ouro-pg-\(UInt32.random(in: 0...UInt32.max))"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
        if getuid() == 0 { _ = try await output("chown", ["postgres", path]) }
        return path
    }

    private func run(_ program: String, _ arguments: [String]) async throws -> String {
        try await Self.asOwner("\(programs)/\(program)", arguments)
    }

    private static func asOwner(_ command: String, _ arguments: [String]) async throws -> String {
        getuid() == 0
            ? try await output("runuser", ["-u", "postgres", "--", command] + arguments)
            : try await output(command, arguments)
    }

    struct Failed: Error {
        let command: String
        let errors: String
    }

    private static func output(_ command: String, _ arguments: [String]) async throws -> String {
        let result = try await bounded("\(command) \(arguments.joined(separator: " "))", by: .seconds(120)) {
            try await Subprocess.run(
                command.contains("/") ? .path(.init(command)) : .name(command), arguments: .init(arguments),
                workingDirectory: .init("/tmp"),
                input: .none, output: .string(limit: 1 << 16), error: .string(limit: 1 << 16))
        }
        guard result.terminationStatus == .exited(0) else {
            throw Failed(command: command, errors: result.standardError)
        }
        return result.standardOutput.trimmingCharacters(in: .whitespacesAndNewlines)
    }
}

/// Goes away with the process.
private enum EmptyCluster {
    static let path = Locked("")

    static func remove() {
        try? FileManager.default.removeItem(atPath: path.withLock { $0 })
    }
}
