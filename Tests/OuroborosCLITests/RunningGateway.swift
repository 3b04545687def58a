import Foundation
import Subprocess
import TestSupport

/// A gateway that runs while `body` does.
struct RunningGateway: Sendable {
    let address: String
    private let process: Victim

    var output: Lines { process.output }
    var errors: Lines { process.errors }

    func terminate(_ signal: Signal) {
        process.send(signal.rawValue)
    }

    /// Its messages, as JSON objects, once there are so many. It writes one before it acknowledges it.
    func messages(
        _ count: Int, file: String = #fileID, line: Int = #line
    ) async throws -> [[String: any Sendable]] {
        objects(try await output.atLeast(count, file: file, line: line))
    }

    func texts(_ count: Int, file: String = #fileID, line: Int = #line) async throws -> [String] {
        try await messages(count, file: file, line: line).compactMap { $0["text"] as? String }
    }

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
        let process = Victim(
            arguments, executable: executable, in: scratch, environment: environment)
        await process.start()
        let log = executable == Tool.path ? process.errors : process.output
        let port = try await log.port(after: "listening on")
        try await body(RunningGateway(address: "127.0.0.1:\(port)", process: process))
        process.send(signal.rawValue)
        return try await process.ended()
    }
}

extension Lines {
    /// The port that a line with these words ends in, or nearly.
    func port(after words: String, file: String = #fileID, line: Int = #line) async throws -> Int {
        let found = try await first(containing: words, file: file, line: line)
        guard let port = found.split(separator: " ").compactMap({ Int($0) }).last else {
            throw Hung("\(file):\(line): no port in “\(found)”")
        }
        return port
    }
}
