import LibC
import Ouroboros

/// A file that a gateway writes.
package protocol WatchedFile: ReadsRows {
    var path: String { get }
    /// Why it cannot be written now, as the last writes tell, or that a call hangs.
    var trouble: OuroborosError? { get }
    /// That it is damaged or another program's by now: it never passes.
    var damage: OuroborosError? { get }
    /// Tells that writes fail or that it is damaged, for one reader.
    var failures: AsyncStream<Void> { get }
    /// Tries to write, and changes nothing. A task that is cancelled goes on at once.
    func probe() async throws
}

extension [OwnThread] {
    /// That one of the threads which use a file hangs there. SQLite itself waits for two seconds, and a slow card may take
    /// some more.
    func hang(at path: String, after limit: Duration = .seconds(10)) -> OuroborosError? {
        guard contains(where: { $0.busyFor > limit }) else { return nil }
        return OuroborosError(.busy, "“\(path)” does not answer: its disk hangs")
    }
}
