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
    static func provision(_ device: String, _ more: String..., in scratch: Scratch) async throws {
        #expect(try await run(["keygen", "--out", "root.key"], in: scratch).succeeded)
        let add = [
            "device", "add", "--store", "gw.sqlite", "--device", device, "--root-key-file", "root.key",
        ]
        #expect(try await run(add + more, in: scratch).succeeded)
    }

    static func run(
        _ arguments: [String], in scratch: Scratch, input: String = "",
        environment: [Environment.Key: String?] = [:]
    ) async throws -> Outcome {
        try await bounded("ouroboros \(arguments.joined(separator: " "))", by: .seconds(100)) {
            try await run(path, arguments, in: scratch, input: input, environment: environment)
        }
    }

    static func run(
        _ executable: String, _ arguments: [String], in scratch: Scratch, input: String = "",
        environment: [Environment.Key: String?] = [:]
    ) async throws -> Outcome {
        let result = try await Subprocess.run(
            .path(.init(executable)), arguments: .init(arguments),
            environment: .inherit.updating(environment), workingDirectory: .init(scratch.path),
            input: .string(input), output: .string(limit: 1 << 22), error: .string(limit: 1 << 22))
        return Outcome(
            status: result.terminationStatus, output: result.standardOutput,
            errors: result.standardError)
    }
}

/// A gateway that runs while `body` does.
struct RunningGateway: Sendable {
    let address: String
    let output: Lines
    let errors: Lines
    let terminate: @Sendable (Signal) throws -> Void

    /// Its messages, as JSON objects.
    var messages: [[String: any Sendable]] {
        output.all.compactMap { line in
            (try? JSONSerialization.jsonObject(with: Data(line.utf8))) as? [String: any Sendable]
        }
    }

    var texts: [String] { messages.compactMap { $0["text"] as? String } }

    static func with(
        _ arguments: [String], in scratch: Scratch, signal: Signal = .terminate,
        environment: [Environment.Key: String?] = [:],
        _ body: @Sendable (RunningGateway) async throws -> Void
    ) async throws -> TerminationStatus {
        try await with(
            Tool.path, ["gateway", "--bind", "127.0.0.1:0"] + arguments, in: scratch, signal: signal,
            environment: environment, body)
    }

    /// The same for another server, which says on standard output or error where it listens.
    static func with(
        _ executable: String, _ arguments: [String], in scratch: Scratch, signal: Signal = .terminate,
        environment: [Environment.Key: String?] = [:],
        _ body: @Sendable (RunningGateway) async throws -> Void
    ) async throws -> TerminationStatus {
        let (output, errors) = (Lines(), Lines())
        let result = try await Subprocess.run(
            .path(.init(executable)), arguments: .init(arguments),
            environment: .inherit.updating(environment),
            workingDirectory: .init(scratch.path), input: .none, output: .sequence, error: .sequence
        ) { execution in
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    for try await line in execution.standardOutput.strings() { output.add(line) }
                    output.end()
                }
                group.addTask {
                    for try await line in execution.standardError.strings() { errors.add(line) }
                    errors.end()
                }
                defer { try? execution.send(signal: signal) }
                let log = executable == Tool.path ? errors : output
                guard let listening = try await log.first(containing: "listening on"),
                    let port = listening.split(separator: " ").last(where: { Int($0) != nil })
                else { throw NotListening() }
                try await body(
                    RunningGateway(
                        address: "127.0.0.1:\(port)", output: output, errors: errors,
                        terminate: { try execution.send(signal: $0) }))
            }
        }
        return result.terminationStatus
    }

    struct NotListening: Error {}
}

/// Lines as a process writes them.
final class Lines: Sendable {
    private let state = Mutex<(lines: [String], isEnded: Bool)>(([], false))

    var all: [String] { state.withLock(\.lines) }
    var count: Int { state.withLock(\.lines.count) }
    var isEnded: Bool { state.withLock(\.isEnded) }

    func add(_ line: String) {
        state.withLock { $0.lines.append(line.trimmingCharacters(in: .newlines)) }
    }

    func end() {
        state.withLock { $0.isEnded = true }
    }

    func waitForEnd() async throws {
        while !state.withLock(\.isEnded) {
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    /// Nil when the process ends without such a line.
    func first(containing text: String, within limit: Duration = .seconds(60)) async throws -> String? {
        let end = ContinuousClock.now + limit
        while true {
            let (found, isEnded) = state.withLock { state in
                (state.lines.first { $0.contains(text) }, state.isEnded)
            }
            if found != nil || isEnded { return found }
            guard .now < end else {
                throw Hung(description: "no “\(text)” within \(limit) after \(all.suffix(5))")
            }
            try await Task.sleep(for: .milliseconds(5))
        }
    }
}
