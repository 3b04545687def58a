import LibC

/// A look-up on a thread of its own, as the system's blocks for as long as name servers do not answer. Its descriptor is
/// readable once it has ended.
final class BackgroundLookUp {
    let descriptor: Int32
    /// The thread may outlive who asked.
    private let found = Locked<[[UInt8]]?>(nil)

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
            let addresses = HostAddresses.lookUp(host, port: port)
            found.withLock { $0 = addresses }
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
        found.withLock { $0 }
    }
}
