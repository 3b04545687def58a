import ExampleKit
import Glibc
import Ouroboros

/// A session that sleeps in a file, readable by its owner alone. It holds keys: it is taken once.
struct SessionFile {
    let path: String

    /// The session and how long it slept. The file is gone, durably, when this returns.
    func take() throws -> (SavedSession, slept: UInt64)? {
        guard let bytes = ExampleKit.file(path), bytes.count > 8 else { return nil }
        guard unlink(path) == 0 else { throw failure("cannot remove “\(path)”") }
        try syncDirectory()
        let now = Clock.wall
        return bytes.withUnsafeBytes { bytes in
            let then = bytes.prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            // A clock that was set back tells nothing.
            return (SavedSession(bytes.dropFirst(8)), slept: now > then ? now - then : 0)
        }
    }

    func keep(_ session: SavedSession) throws {
        let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw failure("cannot make “\(path)”") }
        defer { close(file) }
        func put(_ bytes: UnsafeRawBufferPointer) -> Bool {
            write(file, bytes.baseAddress, bytes.count) == bytes.count
        }
        guard withUnsafeBytes(of: Clock.wall.bigEndian, put), session.withUnsafeBytes(put), fsync(file) == 0
        else { throw failure("cannot write “\(path)”") }
        try syncDirectory()
    }

    private func syncDirectory() throws {
        let parent = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
        let directory = open(parent, O_RDONLY | O_CLOEXEC)
        defer { close(directory) }
        guard directory >= 0, fsync(directory) == 0 else { throw failure("cannot sync “\(parent)”") }
    }

    private func failure(_ text: String) -> OuroborosError {
        OuroborosError(.storage, "\(text): \(String(cString: strerror(errno)))")
    }
}
