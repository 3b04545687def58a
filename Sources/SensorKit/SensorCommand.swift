import LibC
import Ouroboros
import OuroborosText

/// A shell command whose output is a reading. It has a process group of its own, which is ended as a whole when it takes
/// too long, or when the sensor stops.
package struct SensorCommand: Sendable {
    package static let usualTimeout = Duration.seconds(30)
    /// Milliseconds between two looks at what no descriptor tells.
    private static let lookPeriod: Int32 = 50
    /// How long a group has from SIGTERM to SIGKILL.
    private static let farewell = Duration.seconds(1)

    package let text: String
    package let timeout: Duration

    package init(_ text: String, timeout: Duration = usualTimeout) {
        self.text = text
        self.timeout = timeout
    }

    /// What it printed by the time it ended; what it leaves running in the background is not waited for. `input` is of a
    /// size that a pipe holds, 4096 bytes at most.
    package func output(of input: [UInt8] = [], isStopped: () -> Bool = { false }) throws -> [UInt8] {
        let (process, pipe) = try start(input)
        defer { close(pipe) }
        let end = ContinuousClock.now + timeout
        var output = Collected()
        while true {
            let isOpen = output.take(from: pipe, waiting: Self.lookPeriod)
            if Self.hasEnded(process) { break }
            guard .now < end else {
                Self.end(process)
                throw OuroborosError(
                    .transport,
                    "the command hangs and was ended: it took longer than \(timeout) (--command-timeout)")
            }
            guard !isStopped() else {
                Self.end(process)
                throw OuroborosError(.closed, "the command was ended, as the sensor stops")
            }
            if !isOpen {
                usleep(UInt32(Self.lookPeriod) * 1000)
            }
        }
        _ = output.take(from: pipe, waiting: 0)
        var status: Int32 = 0
        waitpid(process, &status, 0)
        guard status == 0 else {
            let ending = status & 0x7f == 0 ? "status \(status >> 8)" : "signal \(status & 0x7f)"
            throw OuroborosError(.transport, "the command failed: it ended with \(ending)")
        }
        return try output.reading()
    }

    // MARK: The process

    private func start(_ input: [UInt8]) throws -> (pid_t, pipe: Int32) {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw Self.failure(errno) }
        defer { close(ends[1]) }
        for file in ends { _ = fcntl(file, F_SETFD, FD_CLOEXEC) }
        _ = fcntl(ends[0], F_SETFL, O_NONBLOCK)
        var files = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&files)
        defer { posix_spawn_file_actions_destroy(&files) }
        let source = try Self.source(of: input)
        defer { close(source) }
        posix_spawn_file_actions_adddup2(&files, source, STDIN_FILENO)
        posix_spawn_file_actions_adddup2(&files, ends[1], STDOUT_FILENO)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        Self.setSignals(&attributes)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(
            &attributes,
            Int16(POSIX_SPAWN_SETPGROUP) | Int16(POSIX_SPAWN_SETSIGMASK) | Int16(POSIX_SPAWN_SETSIGDEF))
        let words: [String] = ["sh", "-c", text]
        var arguments = words.map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        var process: pid_t = 0
        let status = posix_spawn(&process, "/bin/sh", &files, &attributes, &arguments, environ)
        guard status == 0 else {
            close(ends[0])
            throw Self.failure(status)
        }
        return (process, ends[0])
    }

    /// A descriptor to read it from.
    private static func source(of input: [UInt8]) throws -> Int32 {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw failure(errno) }
        defer { close(ends[1]) }
        for file in ends { _ = fcntl(file, F_SETFD, FD_CLOEXEC) }
        guard write(ends[1], input, input.count) == input.count else {
            close(ends[0])
            throw failure(errno)
        }
        return ends[0]
    }

    /// What this process blocks or ignores would be so for the command, too.
    private static func setSignals(_ attributes: inout posix_spawnattr_t) {
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        var usual = sigset_t()
        sigemptyset(&usual)
        for number in [SIGPIPE, SIGINT, SIGTERM] {
            sigaddset(&usual, number)
        }
        posix_spawnattr_setsigdefault(&attributes, &usual)
    }

    /// It is not waited for yet, so that its number, and its group's, stay its own.
    private static func hasEnded(_ process: pid_t) -> Bool {
        var info = siginfo_t()
        return waitid(P_PID, id_t(process), &info, WEXITED | WNOHANG | WNOWAIT) == 0
            && info.si_signo == SIGCHLD
    }

    private static func end(_ process: pid_t) {
        kill(-process, SIGTERM)
        wait(for: process)
        kill(-process, SIGKILL)
        // One that a device driver holds ends when that lets it go.
        wait(for: process)
        waitpid(process, nil, WNOHANG)
    }

    private static func wait(for process: pid_t) {
        let end = ContinuousClock.now + farewell
        while !hasEnded(process), .now < end {
            usleep(10_000)
        }
    }

    private static func failure(_ code: Int32) -> OuroborosError {
        OuroborosError(.transport, "the command cannot be run: \(String(cString: strerror(code)))")
    }
}

/// What a command printed so far.
private struct Collected {
    private static let most = 65_536

    private var bytes: [UInt8] = []
    private var chunk = [UInt8](repeating: 0, count: 4096)

    /// Takes all that is there; false when nobody writes any more.
    mutating func take(from pipe: Int32, waiting milliseconds: Int32) -> Bool {
        var poller = pollfd(fd: pipe, events: Int16(POLLIN), revents: 0)
        _ = poll(&poller, 1, milliseconds)
        while true {
            let count = systemRead(pipe, &chunk, chunk.count)
            guard count > 0 else { return count < 0 }
            // What is too much is read all the same: the command is not to end by a broken pipe.
            bytes += chunk.prefix(min(count, Self.most + 1 - bytes.count))
        }
    }

    /// Without the ends of the last lines.
    func reading() throws -> [UInt8] {
        guard bytes.count <= Self.most else {
            throw OuroborosError(.transport, "the command printed more than \(Self.most) bytes")
        }
        var bytes = bytes
        while bytes.last == UInt8(ascii: "\n") {
            bytes.removeLast()
        }
        return bytes
    }
}

// The method has the system call's name.
private func systemRead(_ file: Int32, _ buffer: UnsafeMutableRawPointer?, _ count: Int) -> Int {
    read(file, buffer, count)
}
