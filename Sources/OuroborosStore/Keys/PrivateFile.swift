import LibC
import Ouroboros
import OuroborosText

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

    /// The bytes of a small file of keys, or of a descriptor that was handed over (/dev/fd/N).
    ///
    /// A container's secrets are read too: root's, changed by nobody else, on a mount that cannot be written. That others
    /// in there can read them is said once, on standard error.
    public static func read(_ path: String, atMost limit: Int) throws -> SecretBytes {
        let file =
            descriptor(of: path).map { fcntl($0, F_DUPFD_CLOEXEC, 0) } ?? open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw failure("cannot read “\(path)”") }
        defer { close(file) }
        var (status, mount) = (stat(), statvfs())
        guard fstat(file, &status) == 0, fstatvfs(file, &mount) == 0 else {
            throw failure("cannot read “\(path)”")
        }
        if descriptor(of: path) == nil || isRegular(status) {
            try check(secret: status, mount, path)
        }
        let room = isRegular(status) ? min(limit, Int(status.st_size) + 1) : limit
        return try SecretBytes.filled(atMost: room) { buffer in
            var count = 0
            while count < buffer.count {
                let got = systemRead(file, buffer.baseAddress.map { $0 + count }, buffer.count - count)
                if got < 0, errno == EINTR { continue }
                guard got >= 0 else { throw failure("cannot read “\(path)”") }
                if got == 0 { break }
                count += got
            }
            return count
        }
    }

    /// Refuses a secret that is not there or that others may use, as ``read(_:atMost:)`` does.
    package static func check(secret path: String) throws {
        var (status, mount) = (stat(), statvfs())
        guard stat(path, &status) == 0, statvfs(path, &mount) == 0 else {
            throw failure("cannot read “\(path)”")
        }
        try check(secret: status, mount, path)
    }

    private static func check(secret status: stat, _ mount: statvfs, _ path: String) throws {
        let isHandedOver =
            status.st_uid == 0 && status.st_mode & 0o022 == 0 && mount.f_flag & UInt(ST_RDONLY) != 0
        guard isHandedOver, isRegular(status), status.st_mode & 0o044 != 0 else {
            return try check(
                status, path, forbidden: isCredential(path) ? 0o037 : 0o077, mayBePipe: true)
        }
        guard said.withLock({ $0.insert(path).inserted }) else { return }
        Output.note(
            "ouroboros: “\(path)” can be read by others here (mode 0\(mode(status))): taken, as it is root's, and its "
                + "mount is read-only")
    }

    private static let said = Locked<Set<String>>([])

    /// True for what gives its bytes once: a pipe, or another descriptor.
    package static func comesOnce(_ path: String) -> Bool {
        var status = stat()
        return descriptor(of: path) != nil || stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFIFO
    }

    /// The number in /dev/fd/N, which may be of a file that this process could not open itself.
    private static func descriptor(of path: String) -> Int32? {
        if path == "/dev/stdin" { return STDIN_FILENO }
        for start in ["/dev/fd/", "/proc/self/fd/"] where path.hasPrefix(start) {
            return Int32(path.dropFirst(start.count))
        }
        return nil
    }

    private static func isRegular(_ status: stat) -> Bool { status.st_mode & S_IFMT == S_IFREG }

    private static func mode(_ status: stat) -> String { String(status.st_mode & 0o777, radix: 8) }

    /// Writes a new file, readable by its owner alone, and makes it durable; never overwrites.
    public static func write(_ bytes: [UInt8], toNew path: String) throws {
        try bytes.withUnsafeBytes { try write($0, toNew: path) }
    }

    public static func write(_ secret: SecretBytes, toNew path: String) throws {
        try secret.withUnsafeBytes { try write($0, toNew: path) }
    }

    private static func write(_ bytes: UnsafeRawBufferPointer, toNew path: String) throws {
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
            let put = systemWrite(file, bytes.baseAddress.map { $0 + offset }, bytes.count - offset)
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

    private static func check(
        _ status: stat, _ path: String, forbidden: mode_t = 0o077, mayBePipe: Bool = false
    ) throws {
        guard isRegular(status) || mayBePipe && status.st_mode & S_IFMT == S_IFIFO else {
            throw OuroborosError(.storage, "“\(path)” is no regular file")
        }
        guard status.st_mode & forbidden == 0 else {
            throw OuroborosError(
                .storage,
                "“\(path)” can be used by others (mode 0\(mode(status))), and it holds keys: run chmod 600 on it"
            )
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
