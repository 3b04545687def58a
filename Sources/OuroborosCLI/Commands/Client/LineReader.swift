import LibC
import NIOPosix
import Ouroboros

/// The lines of standard input. Of a line that no message can hold only the start is kept.
struct LineReader {
    struct Line {
        var bytes: [UInt8] = []
        /// How long it is, kept or not.
        var count = 0
    }

    private static let longestKept = 4096

    private var line = Line()
    private var chunk: ArraySlice<UInt8> = []
    private var isAtEnd = false

    /// The next line; nil at the end.
    mutating func next() async throws -> Line? {
        while true {
            while let byte = chunk.popFirst() {
                if byte == UInt8(ascii: "\n") {
                    defer { line = Line() }
                    return line
                }
                line.count += 1
                if line.count <= Self.longestKept {
                    line.bytes.append(byte)
                }
            }
            if isAtEnd {
                guard line.count > 0 else { return nil }
                defer { line = Line() }
                return line
            }
            chunk = try await Self.read()[...]
            isAtEnd = chunk.isEmpty
        }
    }

    /// The next line and those that are at hand after it; nil at the end.
    mutating func nextLines() async throws -> [Line]? {
        guard let first = try await next() else { return nil }
        var lines = [first]
        while chunk.contains(UInt8(ascii: "\n")), let line = try await next() {
            lines.append(line)
        }
        return lines
    }

    /// Reading blocks, so it has a thread of its own.
    private static func read() async throws -> [UInt8] {
        try await NIOThreadPool.singleton.runIfActive {
            try [UInt8](unsafeUninitializedCapacity: 65_536) { buffer, count in
                var got = systemRead(STDIN_FILENO, buffer.baseAddress, buffer.count)
                while got < 0, errno == EINTR {
                    got = systemRead(STDIN_FILENO, buffer.baseAddress, buffer.count)
                }
                guard got >= 0 else {
                    throw OuroborosError(
                        .transport, "cannot read standard input: \(String(cString: strerror(errno)))")
                }
                count = got
            }
        }
    }
}

// The method has the system call's name.
private func systemRead(_ file: Int32, _ buffer: UnsafeMutablePointer<UInt8>?, _ count: Int) -> Int {
    read(file, buffer, count)
}
