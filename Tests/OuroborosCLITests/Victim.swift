import Foundation
import LibC
import Subprocess
import SystemPackage
import TestSupport

/// A command that runs until it ends or is killed.
final class Victim: Sendable {
    let output = Lines()
    let errors = Lines()
    private let command: String
    private let place = Place()
    private let started: AsyncStream<Void>
    private let run: Task<TerminationStatus, any Error>

    /// The process's number while it is there: until it is waited for, nobody else has it.
    private final class Place: Sendable {
        private let number = Locked<pid_t?>(nil)

        func set(_ new: pid_t?) {
            number.withLock { $0 = new }
        }

        func with(_ body: (pid_t) -> Void) {
            number.withLock { number in
                if let number { body(number) }
            }
        }
    }

    /// `input` gives standard input a line at a time, until it ends or the process does.
    init(
        _ arguments: [String], executable: String = Tool.path, in scratch: Scratch,
        input: AsyncStream<String>? = nil, environment: [Environment.Key: String?] = [:]
    ) {
        command = ([(executable as NSString).lastPathComponent] + arguments).joined(separator: " ")
        let (output, errors, place) = (output, errors, place)
        let (started, start) = AsyncStream.makeStream(of: Void.self)
        run = Task {
            defer { start.finish() }
            return try await Subprocess.run(
                .path(.init(executable)), arguments: .init(arguments),
                environment: .inherit.updating(environment), workingDirectory: .init(scratch.path),
                input: .inputWriter, output: .sequence, error: .sequence
            ) { execution in
                place.set(pid_t(execution.processIdentifier.value))
                defer { place.set(nil) }
                start.yield()
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask {
                        defer { output.end() }
                        for try await line in execution.standardOutput.strings() { output.add(line) }
                    }
                    group.addTask {
                        defer { errors.end() }
                        for try await line in execution.standardError.strings() { errors.add(line) }
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

    /// A test that failed leaves none behind.
    deinit {
        run.cancel()
    }

    /// Returns once the process is there.
    func start() async {
        for await _ in started.prefix(1) {}
    }

    func send(_ signal: Int32) {
        place.with { kill($0, signal) }
    }

    /// Where the system tells of it.
    func entry(_ name: String) -> String { "/proc/\(number)/\(name)" }

    /// Of the process, while it is there; else 0.
    var number: pid_t {
        var number: pid_t = 0
        place.with { number = $0 }
        return number
    }

    func killed() async throws {
        send(SIGKILL)
        _ = try await ended()
    }

    @discardableResult
    func ended() async throws -> TerminationStatus {
        try await bounded(
            "the end of \(self.command) after \(self.errors.all.suffix(5))", by: .seconds(100)
        ) { [run] in
            try await withTaskCancellationHandler {
                try await run.value
            } onCancel: {
                run.cancel()
            }
        }
    }

    var isEnded: Bool { output.isEnded }
}
