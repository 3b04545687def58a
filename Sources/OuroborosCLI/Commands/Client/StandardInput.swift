import LibC
import Ouroboros

/// Standard input, piece by piece, until somebody ends it.
final class StandardInput: Sendable {
    private typealias Reading = Task<[UInt8], any Error>

    private let state = Locked<(isEnded: Bool, reading: Reading?)>((false, nil))

    /// What is there, once there is something; nothing at the end. It throws a CancellationError after ``end()``.
    func read() async throws -> [UInt8] {
        let reading = Reading { try await OwnThread().runUnlessCancelled(Self.readPiece) }
        let isEnded = state.withLock { state in
            state.reading = reading
            return state.isEnded
        }
        if isEnded { reading.cancel() }
        return try await withTaskCancellationHandler {
            try await reading.value
        } onCancel: {
            reading.cancel()
        }
    }

    /// Nobody wants more, though whoever writes may keep it open.
    func end() {
        let reading = state.withLock { state in
            state.isEnded = true
            return state.reading
        }
        reading?.cancel()
    }

    private static func readPiece() throws -> [UInt8] {
        try [UInt8](unsafeUninitializedCapacity: 65_536) { buffer, count in
            var got = systemRead(STDIN_FILENO, buffer.baseAddress, buffer.count)
            while got < 0, errno == EINTR || isThereLater() {
                got = systemRead(STDIN_FILENO, buffer.baseAddress, buffer.count)
            }
            guard got >= 0 else {
                throw OuroborosError(
                    .transport, "cannot read standard input: \(String(cString: strerror(errno)))")
            }
            count = got
        }
    }

    /// Waits at an input that somebody made non-blocking.
    private static func isThereLater() -> Bool {
        guard errno == EAGAIN else { return false }
        var poller = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
        _ = poll(&poller, 1, -1)
        return true
    }
}

// The method has the system call's name.
private func systemRead(_ file: Int32, _ buffer: UnsafeMutablePointer<UInt8>?, _ count: Int) -> Int {
    read(file, buffer, count)
}
