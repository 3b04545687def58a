import LibC

/// Whether keys that were left may lie in a write-ahead log.
final class PastKeys: Sendable {
    private let mayLie = Locked(false)

    /// To be called once the key was left.
    func note() {
        mayLie.withLock { $0 = true }
    }

    /// Cuts the log if it may hold keys. Those that are left while it is cut are erased the next time.
    func erase(_ cut: () throws -> Void) rethrows {
        let isDue = mayLie.withLock { mayLie in
            defer { mayLie = false }
            return mayLie
        }
        guard isDue else { return }
        do {
            try cut()
        } catch {
            note()
            throw error
        }
    }
}
