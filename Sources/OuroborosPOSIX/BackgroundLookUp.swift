import LibC

/// A look-up on a thread of its own, as the system's blocks for as long as name servers do not answer. Its descriptor is
/// readable once it has ended.
final class BackgroundLookUp {
    /// What the thread writes; it may outlive who asked.
    // @unchecked: the thread writes it before it closes its end of the pipe, and it is read after that.
    private final class Found: @unchecked Sendable {
        var addresses: [[UInt8]] = []
    }

    let descriptor: Int32
    private let found = Found()

    /// Nil without a pipe or a thread.
    init?(_ host: String, port: Int) {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { return nil }
        descriptor = ends[0]
        let end = ends[1]
        for end in ends {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
        }
        let isMade = runDetached { [found] in
            found.addresses = HostAddresses.lookUp(host, port: port)
            close(end)
        }
        guard isMade else {
            close(end)
            close(descriptor)
            return nil
        }
    }

    deinit {
        close(descriptor)
    }

    /// Nil while it runs; empty when there is no address.
    func result() -> [[UInt8]]? {
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard poll(&entry, 1, 0) > 0 else { return nil }
        return found.addresses
    }
}
