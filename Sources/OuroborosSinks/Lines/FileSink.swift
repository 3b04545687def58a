import LibC
import OuroborosStore

/// JSON lines in a file that rotates.
package actor FileSink: Sink {
    package nonisolated let name = "file"
    private var settings: FileSinkSettings
    private var file: RotatingFile?
    private var isToReopen = false
    /// A disk may take its time, and so may closing a file of a server's.
    private let thread = OwnThread()

    package init(_ settings: FileSinkSettings) {
        self.settings = settings
    }

    package func deliver(_ batch: SinkBatch) async throws {
        let lines = batch.messages.flatMap { MessageLine.line(for: $0) }
        if isToReopen {
            isToReopen = false
            await shut()
        }
        let (settings, old) = (settings, file.take())
        // After a failure the file is opened anew.
        file = try await thread.run {
            var file = try old ?? RotatingFile(settings)
            if !file.hasItsName {
                // Somebody renamed it or removed it: what was written is there, and what comes is not for that.
                file.shut()
                file = try RotatingFile(settings)
            }
            if try file.isDue() {
                try file.putAside()
                file = try RotatingFile(settings)
            }
            do {
                try file.append(lines)
            } catch {
                file.shut()
                throw error
            }
            return file
        }
    }

    /// From the next batch on; its path stays.
    package func change(_ new: FileSinkSettings) {
        let path = settings.path
        settings = new
        settings.path = path
        isToReopen = true
    }

    /// Before the next batch; one that nobody names any more is let go of.
    package func reopen() async {
        isToReopen = true
        await shut()
    }

    package func close() async {
        await shut()
    }

    /// When the task is cancelled the file is closed all the same, with the last who has it.
    private func shut() async {
        guard let file = file.take() else { return }
        try? await thread.run { file.shut() }
    }
}
