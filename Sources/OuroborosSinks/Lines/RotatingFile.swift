import LibC
import Ouroboros
import OuroborosStore
import OuroborosText

package struct FileSinkSettings: Sendable, Hashable {
    package var path: String
    /// A file that reaches either is put aside, and a new one begun.
    package var mostBytes = 64 << 20
    package var longestAge: Duration = .seconds(86_400)
    /// Files put aside that stay; 0 is all.
    package var kept = 0

    package init(path: String) {
        self.path = path
    }
}

/// A file of lines that others are put aside for: `readings.jsonl`, and `readings.jsonl.20260131T235959.123Z` for
/// what was written until then.
// @unchecked: its one sink calls it, one call at a time.
final class RotatingFile: @unchecked Sendable {
    private let settings: FileSinkSettings
    private let file: Int32
    private var size: Int
    private let begunAt: Int64
    private var isOpen = true

    /// Opens the file or makes it. A line that a crash cut off is removed: its message comes again.
    init(_ settings: FileSinkSettings) throws {
        self.settings = settings
        let path = settings.path
        let file = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw Self.failure("cannot open “\(path)”") }
        do {
            guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
                throw OuroborosError(.storage, "“\(path)” is in use by another process: name another file")
            }
            var status = stat()
            guard fstat(file, &status) == 0 else { throw Self.failure("cannot read “\(path)”") }
            guard status.st_mode & S_IFMT == S_IFREG else {
                throw OuroborosError(.storage, "“\(path)” is no regular file")
            }
            size = try Self.endOfLines(in: file, of: Int(status.st_size), path)
            guard ftruncate(file, off_t(size)) == 0, fsync(file) == 0 else {
                throw Self.failure("cannot write “\(path)”")
            }
            try PrivateFile.syncDirectory(of: path)
            begunAt = size == 0 ? WallClock.milliseconds() : Int64(status.st_mtim.tv_sec) * 1000
        } catch {
            close(file)
            throw error
        }
        self.file = file
    }

    deinit {
        shut()
    }

    /// Closes the file, for another to open it.
    func shut() {
        guard isOpen else { return }
        isOpen = false
        close(file)
    }

    /// Durable when this returns.
    func append(_ lines: [UInt8]) throws {
        var offset = 0
        while offset < lines.count {
            let put = lines.withUnsafeBytes { buffer in
                write(file, buffer.baseAddress.map { $0 + offset }, lines.count - offset)
            }
            if put < 0, errno == EINTR { continue }
            guard put > 0 else {
                let error = Self.failure("cannot write “\(settings.path)”")
                // Half a batch would come twice.
                ftruncate(file, off_t(size))
                throw error
            }
            offset += put
        }
        guard fdatasync(file) == 0 else { throw Self.failure("cannot write “\(settings.path)”") }
        size += lines.count
    }

    /// True for a file that is to be put aside before more is written.
    var isDue: Bool {
        size > 0
            && (size >= settings.mostBytes
                || WallClock.milliseconds() - begunAt >= settings.longestAge.components.seconds * 1000)
    }

    /// Puts the file aside, and removes the oldest of those that are too many.
    func putAside() throws {
        var time = WallClock.milliseconds()
        var name = Self.name(settings.path, at: time)
        while PrivateFile.exists(name) {
            time += 1
            name = Self.name(settings.path, at: time)
        }
        guard rename(settings.path, name) == 0 else {
            throw Self.failure("cannot rename “\(settings.path)” to “\(name)”")
        }
        shut()
        try Self.removeOldest(settings)
        try PrivateFile.syncDirectory(of: settings.path)
    }

    private static func name(_ path: String, at time: Int64) -> String {
        path + "." + WallClock.string(milliseconds: time).filter { $0 != "-" && $0 != ":" }
    }

    private static func removeOldest(_ settings: FileSinkSettings) throws {
        guard settings.kept > 0 else { return }
        var found = glob_t()
        defer { globfree(&found) }
        let pattern = settings.path.map { "*?[\\".contains($0) ? "\\\($0)" : "\($0)" }.joined()
        let digits = { (count: Int) in String(repeating: "[0-9]", count: count) }
        guard
            glob("\(pattern).\(digits(8))T\(digits(6)).\(digits(3))Z", 0, nil, &found) == 0,
            let paths = found.gl_pathv
        else { return }
        // In the order of their names, which is that of their times.
        for index in 0..<max(0, Int(found.gl_pathc) - settings.kept) {
            guard let path = paths[index], unlink(path) == 0 else {
                throw failure("cannot remove an old file of “\(settings.path)”")
            }
        }
    }

    /// Where the last whole line ends.
    private static func endOfLines(in file: Int32, of size: Int, _ path: String) throws -> Int {
        var end = size
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while end > 0 {
            let start = max(0, end - chunk.count)
            let got = pread(file, &chunk, end - start, off_t(start))
            guard got == end - start else { throw failure("cannot read “\(path)”") }
            if let newline = chunk[..<got].lastIndex(of: UInt8(ascii: "\n")) {
                return start + newline + 1
            }
            end = start
        }
        return 0
    }

    private static func failure(_ activity: String) -> OuroborosError {
        OuroborosError(.storage, "\(activity): \(String(cString: strerror(errno)))")
    }
}
