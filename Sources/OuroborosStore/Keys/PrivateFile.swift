import LibC
import Ouroboros

/// Files that hold keys: nobody but their owner may read or write them.
public enum PrivateFile {
    /// Makes the file, readable by its owner alone, unless it is there; refuses one that others may use.
    public static func prepare(_ path: String) throws {
        let file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        if file >= 0 {
            close(file)
            try syncDirectory(of: path)
            return
        }
        guard errno == EEXIST else { throw failure("cannot make “\(path)”") }
        try check(path)
    }

    public static func exists(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0
    }

    /// True for two names of one file.
    public static func isSame(_ path: String, _ other: String) -> Bool {
        var (first, second) = (stat(), stat())
        return stat(path, &first) == 0 && stat(other, &second) == 0
            && first.st_dev == second.st_dev && first.st_ino == second.st_ino
    }

    /// Refuses a file that is not there or that others may use.
    public static func check(_ path: String) throws {
        var status = stat()
        // A look that does not open it: closing a file drops the locks that SQLite holds on it.
        guard stat(path, &status) == 0 else { throw failure("cannot read “\(path)”") }
        try check(status, path)
    }

    /// The bytes of a small file of keys.
    public static func read(_ path: String, atMost limit: Int) throws -> [UInt8] {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw failure("cannot read “\(path)”") }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0 else { throw failure("cannot read “\(path)”") }
        try check(status, path, forbidden: isCredential(path) ? 0o037 : 0o077)
        let limit = min(limit, Int(status.st_size) + 1)
        var bytes = [UInt8](repeating: 0, count: limit)
        var count = 0
        while count < limit {
            let got = bytes.withUnsafeMutableBytes { buffer in
                systemRead(file, buffer.baseAddress.map { $0 + count }, limit - count)
            }
            if got < 0, errno == EINTR { continue }
            guard got >= 0 else { throw failure("cannot read “\(path)”") }
            if got == 0 { break }
            count += got
        }
        // In place: a copy would leave the bytes behind.
        bytes.removeLast(limit - count)
        return bytes
    }

    /// Writes a new file, readable by its owner alone, and makes it durable; never overwrites.
    public static func write(_ bytes: [UInt8], toNew path: String) throws {
        let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard file >= 0 else {
            if errno == EEXIST {
                throw OuroborosError(.storage, "“\(path)” exists already, and is not overwritten")
            }
            throw failure("cannot make “\(path)”")
        }
        defer { close(file) }
        var offset = 0
        while offset < bytes.count {
            let put = bytes.withUnsafeBytes { buffer in
                systemWrite(file, buffer.baseAddress.map { $0 + offset }, bytes.count - offset)
            }
            if put < 0, errno == EINTR { continue }
            guard put > 0 else {
                let error = failure("cannot write “\(path)”")
                unlink(path)
                throw error
            }
            offset += put
        }
        guard fsync(file) == 0 else { throw failure("cannot write “\(path)”") }
        try syncDirectory(of: path)
    }

    /// A new file's name is durable only with its directory.
    package static func syncDirectory(of path: String) throws {
        let parent = path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        let directory = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard directory >= 0 else { throw failure("cannot open “\(parent)”") }
        defer { close(directory) }
        // A file system that cannot do that says so with EINVAL.
        guard fsync(directory) == 0 || errno == EINVAL else { throw failure("cannot write “\(parent)”") }
    }

    /// True for what systemd hands to a unit: its access list shows as a group's right to read.
    private static func isCredential(_ path: String) -> Bool {
        guard let directory = getenv("CREDENTIALS_DIRECTORY").map({ String(cString: $0) }) else {
            return false
        }
        return path.hasPrefix(directory + "/") && !path.dropFirst(directory.count + 1).contains("/")
    }

    private static func check(_ status: stat, _ path: String, forbidden: mode_t = 0o077) throws {
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw OuroborosError(.storage, "“\(path)” is no regular file")
        }
        guard status.st_mode & forbidden == 0 else {
            let mode = String(status.st_mode & 0o777, radix: 8)
            throw OuroborosError(
                .storage,
                "“\(path)” can be used by others (mode 0\(mode)), and it holds keys: run chmod 600 on it")
        }
    }

    static func failure(_ activity: String) -> OuroborosError {
        let (number, words) = (errno, String(cString: strerror(errno)))
        let mayPass = StoreFailure(errno: number) != .other
        return OuroborosError(mayPass ? .busy : .storage, "\(activity): \(words)")
    }
}

// `read` and `write` are names of this type too.
private func systemRead(_ file: Int32, _ buffer: UnsafeMutableRawPointer?, _ count: Int) -> Int {
    read(file, buffer, count)
}

private func systemWrite(_ file: Int32, _ buffer: UnsafeRawPointer?, _ count: Int) -> Int {
    write(file, buffer, count)
}
