import Foundation
import Subprocess
import Synchronization
import SystemPackage
import TestSupport

/// A command that runs until it ends or is killed.
final class Victim: Sendable {
    let output = Lines()
    let errors = Lines()
    private let state = Mutex<(process: pid_t?, isEnded: Bool)>(
        (nil, false))
    private let command: String
    private let run: Task<TerminationStatus, any Error>

    /// `input` gives standard input a line at a time, until it ends or the process does.
    init(
        _ arguments: [String], executable: String = Tool.path, in scratch: Scratch,
        input: AsyncStream<String>? = nil
    ) {
        command = arguments.joined(separator: " ")
        let (output, errors) = (output, errors)
        let (started, start) = AsyncStream.makeStream(of: pid_t.self)
        run = Task {
            defer { start.finish() }
            return try await Subprocess.run(
                .path(.init(executable)), arguments: .init(arguments),
                workingDirectory: .init(scratch.path), input: .inputWriter, output: .sequence,
                error: .sequence
            ) { execution in
                start.yield(pid_t(execution.processIdentifier.value))
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask {
                        for try await line in execution.standardOutput.strings() { output.add(line) }
                        output.end()
                    }
                    group.addTask {
                        for try await line in execution.standardError.strings() { errors.add(line) }
                        errors.end()
                    }
                    let feeding = Task {
                        // A process that was killed takes no more.
                        do {
                            for await line in input ?? AsyncStream(unfolding: { nil }) {
                                _ = try await execution.standardInputWriter.write(line + "\n")
                            }
                            try await execution.standardInputWriter.finish()
                        } catch {}
                    }
                    try await group.waitForAll()
                    feeding.cancel()
                    await feeding.value
                }
            }.terminationStatus
        }
        self.started = started
    }

    private let started: AsyncStream<pid_t>

    /// Returns once the process is there.
    func start() async {
        for await process in started.prefix(1) {
            state.withLock { $0.process = process }
        }
    }

    func send(_ signal: Int32) {
        // Until it is waited for, the number stays its own.
        state.withLock { state in
            if let process = state.process, !state.isEnded {
                kill(process, signal)
            }
        }
    }

    func killed() async throws {
        send(SIGKILL)
        _ = try await ended()
    }

    @discardableResult
    func ended() async throws -> TerminationStatus {
        defer { state.withLock { $0.isEnded = true } }
        return try await bounded("\(self.command) after \(self.errors.all.suffix(5))", by: .seconds(100)) {
            [run] in
            try await withTaskCancellationHandler {
                try await run.value
            } onCancel: {
                run.cancel()
            }
        }
    }

    var isEnded: Bool { output.isEnded }
}
