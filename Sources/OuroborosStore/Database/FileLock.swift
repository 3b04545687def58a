import LibC
import Ouroboros

/// An advisory lock on a file, held while it lives.
final class FileLock: Sendable {
    private let file: Int32

    init(_ path: String) throws {
        file = open(path, O_RDWR | O_CLOEXEC)
        guard file >= 0 else { throw PrivateFile.failure("cannot open “\(path)”") }
        guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
            let error =
                errno == EWOULDBLOCK
                ? StoreFailure.locked.error(path, "")
                : PrivateFile.failure("cannot lock “\(path)”")
            close(file)
            throw error
        }
    }

    deinit {
        close(file)
    }
}
