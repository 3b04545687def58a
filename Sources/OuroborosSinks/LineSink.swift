import NIOPosix
import OuroborosStore

/// JSON lines, to whatever `write` writes to: it returns once they are out.
package struct LineSink: Sink {
    package let name: String
    private let write: @Sendable ([UInt8]) throws -> Void

    package init(name: String, write: @escaping @Sendable ([UInt8]) throws -> Void) {
        self.name = name
        self.write = write
    }

    package func deliver(_ batch: SinkBatch) async throws {
        // Writing may block for as long as a reader likes, so it has a thread of its own.
        try await NIOThreadPool.singleton.runIfActive {
            try write(batch.messages.flatMap { MessageLine.line(for: $0) })
        }
    }
}
