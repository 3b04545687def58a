import Dispatch
import LibC

/// Tells when a file is written, as the system does (inotify(7)), so that nobody has to look.
// @unchecked: a source of Dispatch may be used from any thread.
final class FileChanges: @unchecked Sendable {
    private let source: any DispatchSourceRead

    /// Nil where the system does not tell.
    init?(of path: String, _ tell: @escaping @Sendable () -> Void) {
        let descriptor = inotify_init1(Int32(IN_NONBLOCK) | Int32(IN_CLOEXEC))
        guard descriptor >= 0 else { return nil }
        guard inotify_add_watch(descriptor, path, UInt32(IN_MODIFY)) >= 0 else {
            close(descriptor)
            return nil
        }
        source = DispatchSource.makeReadSource(
            fileDescriptor: descriptor, queue: DispatchQueue(label: "ouroboros.file-changes"))
        source.setEventHandler {
            // What they say is known: there is one file.
            var events = [UInt8](repeating: 0, count: 4096)
            while read(descriptor, &events, events.count) > 0 {}
            tell()
        }
        source.setCancelHandler { close(descriptor) }
        source.activate()
    }

    deinit {
        source.cancel()
    }
}
