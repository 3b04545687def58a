import Foundation
import Subprocess
import Synchronization
import SystemPackage
import TestSupport
import Testing

typealias Scratch = TestSupport.Scratch

/// The built command, run as its users run it.
enum Tool {
    struct Outcome: Sendable {
        let status: TerminationStatus
        let output: String
        let errors: String

        var succeeded: Bool { status == .exited(0) }
        var lines: [String] { output.split(separator: "\n").map(String.init) }
        var errorLines: [String] { errors.split(separator: "\n").map(String.init) }
    }

    /// It lies beside the tests.
    static let path = built("ouroboros")

    static func built(_ name: String) -> String {
        let tests = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        return (tests as NSString).deletingLastPathComponent + "/" + name
    }

    /// A device with a key in root.key, and a gateway's store that knows it: gw.sqlite.
    static func provision(_ device: String, _ more: [String] = [], in scratch: Scratch) async throws {
        let add = [
            "device", "add", "--store", "gw.sqlite", "--device", device, "--root-key-file", "root.key",
        ]
        for command in [["keygen", "--out", "root.key"], add + more] {
            let outcome = try await run(command, in: scratch)
            try #require(outcome.succeeded, "\(outcome.errors)")
        }
    }

    static func run(
        _ arguments: [String], in scratch: Scratch, input: String = "",
        environment: [Environment.Key: String?] = [:], within limit: Duration = .seconds(100)
    ) async throws -> Outcome {
        try await run(
            path, arguments, in: scratch, input: input, environment: environment, within: limit)
    }

    static func run(
        _ executable: String, _ arguments: [String], in scratch: Scratch, input: String = "",
        environment: [Environment.Key: String?] = [:], within limit: Duration = .seconds(100)
    ) async throws -> Outcome {
        let command = ([(executable as NSString).lastPathComponent] + arguments).joined(separator: " ")
        return try await bounded("the end of \(command)", by: limit) {
            let result = try await Subprocess.run(
                .path(.init(executable)), arguments: .init(arguments),
                environment: .inherit.updating(environment), workingDirectory: .init(scratch.path),
                input: .string(input), output: .string(limit: 1 << 22), error: .string(limit: 1 << 22))
            return Outcome(
                status: result.terminationStatus, output: result.standardOutput,
                errors: result.standardError)
        }
    }
}
