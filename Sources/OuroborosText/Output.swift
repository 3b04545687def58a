import LibC
import Ouroboros

/// Standard output and error, unbuffered: what is written is out.
package enum Output {
    /// Whoever read has gone.
    package struct ReaderGone: Error, CustomStringConvertible {
        package let description: String
    }

    package static func write(_ bytes: [UInt8]) throws {
        try write(bytes, to: STDOUT_FILENO, "standard output")
    }

    package static func write(_ secret: SecretBytes) throws {
        try secret.withUnsafeBytes { try write($0, to: STDOUT_FILENO, "standard output") }
    }

    /// Whole lines. When a crash or a full disk cut off the line before, the first of them begins on its own.
    package static func lines(_ bytes: [UInt8]) throws {
        let file = STDOUT_FILENO
        let isTorn = isTorn.withLock(\.self) ?? endsWithinALine(file)
        let all = (isTorn ? [newline] : []) + bytes
        var count = 0
        defer {
            let last = count > 0 ? all[count - 1] != newline : isTorn
            Self.isTorn.withLock { $0 = last }
        }
        try all.withUnsafeBytes { try write($0, to: file, "standard output", &count) }
    }

    /// Whether the last line on standard output is a part of one; nil until that is known.
    private static let isTorn = Locked<Bool?>(nil)
    private static let newline = UInt8(ascii: "\n")

    /// Of a file; what a pipe or a terminal has is its reader's.
    private static func endsWithinALine(_ file: Int32) -> Bool {
        var status = stat()
        guard fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return false }
        let isAppended = fcntl(file, F_GETFL) & O_APPEND != 0
        let end = isAppended ? status.st_size : lseek(file, 0, SEEK_CUR)
        guard end > 0 else { return false }
        // It is open for writing alone.
        let reader = open("/proc/self/fd/\(file)", O_RDONLY | O_CLOEXEC)
        guard reader >= 0 else { return false }
        defer { close(reader) }
        var last: UInt8 = 0
        return pread(reader, &last, 1, end - 1) == 1 && last != newline
    }

    package static func line(_ text: String) throws {
        try write(Array((text + "\n").utf8))
    }

    /// Throws unless there is a standard output to write to.
    package static func require() throws {
        let flags = fcntl(STDOUT_FILENO, F_GETFL)
        guard flags >= 0, flags & O_ACCMODE != O_RDONLY else {
            throw OuroborosError(
                .invalidConfiguration, "standard output is closed: send it to a file, a pipe or /dev/null")
        }
    }

    /// One line on standard error.
    package static func complain(_ message: String) {
        note("ouroboros: error: \(message)")
    }

    package static func note(_ message: String) {
        try? write(Array((message + "\n").utf8), to: STDERR_FILENO, "standard error")
    }

    private static func write(_ bytes: [UInt8], to file: Int32, _ name: String) throws {
        try bytes.withUnsafeBytes { try write($0, to: file, name) }
    }

    private static func write(_ bytes: UnsafeRawBufferPointer, to file: Int32, _ name: String) throws {
        var offset = 0
        try write(bytes, to: file, name, &offset)
    }

    private static func write(
        _ bytes: UnsafeRawBufferPointer, to file: Int32, _ name: String, _ offset: inout Int
    ) throws {
        while offset < bytes.count {
            let count = LibC.write(file, bytes.baseAddress.map { $0 + offset }, bytes.count - offset)
            if count < 0, errno == EINTR { continue }
            if count < 0, errno == EAGAIN {
                // A pipe that somebody made non-blocking.
                var poller = pollfd(fd: file, events: Int16(POLLOUT), revents: 0)
                _ = poll(&poller, 1, 1000)
                continue
            }
            guard count > 0 else {
                let code = errno
                let problem = "cannot write to \(name): \(String(cString: strerror(code)))"
                guard code != EPIPE else { throw ReaderGone(description: problem) }
                throw OuroborosError(.transport, problem)
            }
            offset += count
        }
    }
}
