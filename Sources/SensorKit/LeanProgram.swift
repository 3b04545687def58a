import LibC
import Ouroboros
import OuroborosText

/// How `ouroboros sensor --lean` becomes `ouroboros-lean`, a program that holds the lean sensor and nothing else:
/// the whole command carries an event loop, Foundation and SQLite, three times the memory. The key comes through a
/// pipe, the rest as arguments.
package enum LeanProgram {
    private static let name = "ouroboros-lean"
    private static let keyFile: Int32 = 3

    /// Replaces this process; returns only to throw.
    package static func become(_ sensor: LeanSensor, rootKey: RootKey) throws -> Never {
        let path = try directory() + name
        guard access(path, X_OK) == 0 else {
            throw OuroborosError(
                .invalidConfiguration,
                "“\(path)” is missing: --lean needs it beside this command (`make install` puts it there)")
        }
        try passOn(rootKey)
        var arguments = [
            name, sensor.host, String(sensor.port), sensor.credential.deviceID.description,
            milliseconds(sensor.interval), sensor.count.map(String.init) ?? "",
            sensor.timeout.map(milliseconds) ?? "",
        ]
        if case .command(let command) = sensor.source {
            arguments += [milliseconds(command.timeout), command.text]
        }
        // The tasks' threads take no signals, and the new program would inherit that.
        var none = sigset_t()
        sigemptyset(&none)
        pthread_sigmask(SIG_SETMASK, &none, nil)
        var pointers = arguments.map { strdup($0) } + [nil]
        execv(path, &pointers)
        throw OuroborosError(
            .invalidConfiguration, "“\(path)” cannot be run: \(String(cString: strerror(errno)))")
    }

    /// What ``become(_:rootKey:)`` handed over; nil when somebody else called.
    package static func sensor(_ arguments: [String]) throws -> LeanSensor? {
        guard arguments.count >= 7, let port = Int(arguments[2]), let interval = Int64(arguments[4]),
            let key = receivedKey()
        else { return nil }
        return LeanSensor(
            host: arguments[1], port: port,
            credential: .fixed(device: try DeviceID(hex: arguments[3]), rootKey: key),
            source: source(arguments.dropFirst(7)),
            interval: .milliseconds(interval), count: Int(arguments[5]),
            timeout: Int64(arguments[6]).map { .milliseconds($0) })
    }

    private static func source(_ arguments: ArraySlice<String>) -> SensorSource {
        guard arguments.count == 2, let text = arguments.last,
            let timeout = arguments.first.flatMap({ Int64($0) })
        else { return .automatic() }
        return .command(SensorCommand(text, timeout: .milliseconds(timeout)))
    }

    /// The one that this command is in, with a slash at its end.
    private static func directory() throws -> String {
        guard let path = realpath(executable, nil) else {
            throw OuroborosError(.invalidConfiguration, "cannot tell where this command is")
        }
        defer { free(path) }
        let file = String(cString: path)
        return String(file[...(file.lastIndex(of: "/") ?? file.startIndex)])
    }

    private static let executable = "/proc/self/exe"

    private static func milliseconds(_ duration: Duration) -> String {
        String(max(1, duration.milliseconds))
    }

    private static func passOn(_ key: RootKey) throws {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else {
            throw OuroborosError(.transport, "no pipe: \(String(cString: strerror(errno)))")
        }
        let count = key.withUnsafeBytes { write(ends[1], $0.baseAddress, $0.count) }
        close(ends[1])
        guard count == SecretKey.byteCount, ends[0] == keyFile || dup2(ends[0], keyFile) == keyFile else {
            throw OuroborosError(.transport, "the key cannot be passed on to \(name)")
        }
    }

    private static func receivedKey() -> RootKey? {
        var kind = stat()
        guard fstat(keyFile, &kind) == 0, kind.st_mode & S_IFMT == S_IFIFO else { return nil }
        defer { close(keyFile) }
        return try? SecretKey { bytes in
            guard read(keyFile, bytes.baseAddress, bytes.count) == bytes.count else {
                throw OuroborosError(.invalidKey, "the key was not passed on")
            }
        }
    }
}
