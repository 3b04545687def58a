import Glibc
import Ouroboros

/// What the examples' command lines have in common.
public enum ExampleKit {
    /// The arguments; without enough of them, a line on how to call the program, and the end.
    public static func arguments(_ usage: String, atLeast count: Int) -> [String] {
        let arguments = Array(CommandLine.arguments.dropFirst())
        guard arguments.count >= count else { fail("usage: \(usage)") }
        return arguments
    }

    /// A key from a file of 64 hexadecimal digits, as `ouroboros keygen --out` writes it.
    public static func key(in path: String) throws -> SecretKey {
        guard let bytes = file(path) else {
            throw OuroborosError(.invalidKey, "cannot read “\(path)”")
        }
        return try bytes.withUnsafeBytes { try SecretKey(hex: $0) }
    }

    /// The first bytes of a file, or nil. They erase themselves: it may hold keys.
    public static func file(_ path: String, atMost limit: Int = 65_536) -> SecretBytes? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var isRead = true
        let bytes = SecretBytes.filled(atMost: limit) { buffer in
            var count = 0
            while count < limit {
                let got = read(file, buffer.baseAddress.map { $0 + count }, limit - count)
                isRead = got >= 0
                if got <= 0 { break }
                count += got
            }
            return count
        }
        return isRead ? bytes : nil
    }

    /// A line on standard output that is out when this returns.
    public static func say(_ line: String) {
        let bytes = Array((line + "\n").utf8)
        _ = write(STDOUT_FILENO, bytes, bytes.count)
    }

    /// The same on standard error.
    public static func note(_ line: String) {
        let bytes = Array((line + "\n").utf8)
        _ = write(STDERR_FILENO, bytes, bytes.count)
    }

    public static func fail(_ message: String) -> Never {
        note(message)
        exit(1)
    }
}
