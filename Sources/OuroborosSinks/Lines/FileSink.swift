import NIOPosix
import OuroborosStore

/// JSON lines in a file that rotates.
package actor FileSink: Sink {
    package nonisolated let name = "file"
    private let settings: FileSinkSettings
    private var file: RotatingFile?

    package init(_ settings: FileSinkSettings) {
        self.settings = settings
    }

    package func deliver(_ batch: SinkBatch) async throws {
        let lines = batch.messages.flatMap { MessageLine.line(for: $0) }
        let (settings, old) = (settings, file.take())
        // A disk may take its time. After a failure the file is opened anew.
        file = try await NIOThreadPool.singleton.runIfActive {
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

    package func close() async {
        file.take()?.shut()
    }
}
