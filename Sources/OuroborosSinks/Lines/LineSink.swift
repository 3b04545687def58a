import LibC
import OuroborosStore

/// JSON lines, to whatever `put` writes to: it returns once they are out.
package struct LineSink: Sink {
    package let name: String
    private let put: @Sendable ([UInt8]) throws -> Void
    private let thread = OwnThread()

    package init(name: String, write put: @escaping @Sendable ([UInt8]) throws -> Void) {
        self.name = name
        self.put = put
    }

    package func deliver(_ batch: SinkBatch) async throws {
        try await write(batch.messages.flatMap { MessageLine.line(for: $0) })
    }

    /// Writing may block for as long as a reader likes.
    package func write(_ lines: [UInt8]) async throws {
        guard !lines.isEmpty else { return }
        try await thread.run { [put] in try put(lines) }
    }
}
