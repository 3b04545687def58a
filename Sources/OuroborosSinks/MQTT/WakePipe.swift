import LibC

/// Lets one thread wait for a socket, and others wake it.
final class WakePipe: Sendable {
    private let ends: (read: Int32, write: Int32)

    init() throws {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else {
            throw SinkFailure("the system gives no pipe: \(String(cString: strerror(errno)))")
        }
        for end in ends {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
        self.ends = (ends[0], ends[1])
    }

    deinit {
        close(ends.read)
        close(ends.write)
    }

    func ring() {
        // A full pipe wakes as well.
        var byte: UInt8 = 0
        _ = write(ends.write, &byte, 1)
    }

    func wait(beside socket: Int32, wantsWrite: Bool, milliseconds: Int32) {
        var waits = [
            pollfd(fd: ends.read, events: Int16(POLLIN), revents: 0),
            // One that is closed, -1, is passed over.
            pollfd(fd: socket, events: Int16(POLLIN | (wantsWrite ? POLLOUT : 0)), revents: 0),
        ]
        _ = poll(&waits, nfds_t(waits.count), milliseconds)
        var bytes = [UInt8](repeating: 0, count: 64)
        while read(ends.read, &bytes, bytes.count) > 0 {}
    }
}
