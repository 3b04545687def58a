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

/// A file of lines that others are put aside for (``PutAside``). Others may rename, remove or cut it.
// @unchecked: its one sink calls it, one call at a time.
final class RotatingFile: @unchecked Sendable {
    private let settings: FileSinkSettings
    private let file: Int32
    /// When there was nothing in it, by a clock that nobody sets.
    private var begunAt: ContinuousClock.Instant
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
            let size = try Self.endOfLines(in: file, of: Int(status.st_size), path)
            guard ftruncate(file, off_t(size)) == 0, fsync(file) == 0 else {
                throw Self.failure("cannot write “\(path)”")
            }
            try PrivateFile.syncDirectory(of: path)
            let age = WallClock.milliseconds() / 1000 - Int64(status.st_mtim.tv_sec)
            begunAt = .now - (size == 0 ? .zero : .seconds(max(0, age)))
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

    /// False once its name is another file's, or nobody's.
    var hasItsName: Bool {
        var (own, named) = (stat(), stat())
        return fstat(file, &own) == 0 && stat(settings.path, &named) == 0 && own.st_dev == named.st_dev
            && own.st_ino == named.st_ino
    }

    /// Durable when this returns.
    func append(_ lines: [UInt8]) throws {
        let size = try size()
        if size == 0 { begunAt = .now }
        var offset = 0
        while offset < lines.count {
            let put = lines.withUnsafeBytes { buffer in
                write(file, buffer.baseAddress.map { $0 + offset }, lines.count - offset)
            }
            if put < 0, errno == EINTR { continue }
            guard put > 0 else {
                let error = failure("cannot write")
                // Half a batch would come twice. Who has cut the file meanwhile has cut that too.
                if try self.size() > size { ftruncate(file, off_t(size)) }
                throw error
            }
            offset += put
        }
        guard fdatasync(file) == 0 else { throw failure("cannot write") }
    }

    private func size() throws -> Int {
        var status = stat()
        guard fstat(file, &status) == 0 else { throw failure("cannot read") }
        return Int(status.st_size)
    }

    /// True for a file that is to be put aside before more is written.
    func isDue() throws -> Bool {
        let size = try size()
        return size > 0
            && (size >= settings.mostBytes || ContinuousClock.now - begunAt >= settings.longestAge)
    }

    /// Puts the file aside, and removes the oldest of those that are too many.
    func putAside() throws {
        let aside = PutAside(settings.path)
        let name = try aside.next()
        guard rename(settings.path, name) == 0 else { throw failure("cannot put aside") }
        shut()
        if settings.kept > 0 {
            try aside.removeOldest(butFor: settings.kept)
        }
        try PrivateFile.syncDirectory(of: settings.path)
    }

    private func failure(_ activity: String) -> OuroborosError {
        Self.failure("\(activity) “\(settings.path)”")
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

    static func failure(_ activity: String) -> OuroborosError {
        OuroborosError(.storage, "\(activity): \(String(cString: strerror(errno)))")
    }
}
