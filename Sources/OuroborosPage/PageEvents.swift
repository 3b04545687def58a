import Hummingbird
import NIOCore

/// Server-sent events to one listener: the parts of its page that changed.
struct PageEvents: Sendable {
    let states: AsyncStream<PageState>
    let patience: Duration
    let first: @Sendable () async throws -> PageState
    /// Parts by id; nil when what they show is gone.
    let parts: @Sendable (PageState) async throws -> [(id: String, html: String)]?

    /// After so many states without a change a comment tells a listener that has gone from one that waits.
    private static let quietStates = 8

    var body: ResponseBody {
        ResponseBody { writer in
            var sent: [String: String] = [:]
            var quiet = 0
            try await write("retry: 2000\n\n", to: &writer)
            if let text = try await changes(to: try await first(), since: &sent) {
                try await write(text, to: &writer)
            }
            for await state in states {
                guard let text = try await changes(to: state, since: &sent) else { break }
                quiet = text.isEmpty ? quiet + 1 : 0
                if !text.isEmpty {
                    try await write(text, to: &writer)
                } else if quiet % Self.quietStates == 0 {
                    try await write(": nothing new\n\n", to: &writer)
                }
            }
            try await writer.finish(nil)
        }
    }

    private func changes(to state: PageState, since sent: inout [String: String]) async throws -> String? {
        guard let parts = try await parts(state) else { return nil }
        var text = ""
        for part in parts where sent[part.id] != part.html {
            sent[part.id] = part.html
            text += "event: \(part.id)\n"
            let lines = part.html.split(separator: "\n")
            // A browser passes over an event without data.
            for line in lines.isEmpty ? ["", ""] : lines {
                text += "data: \(line)\n"
            }
            text += "\n"
        }
        return text
    }

    /// The task that writes is this connection's own, so ending it ends nothing else.
    @concurrent private func write(_ text: String, to writer: inout any ResponseBodyWriter) async throws {
        guard !text.isEmpty else { return }
        let buffer = ByteBuffer(string: text)
        try await withUnsafeCurrentTask { task in
            let writing = Writing(task: task)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { [patience] in
                    if (try? await Task.sleep(for: patience)) != nil { writing.task?.cancel() }
                }
                defer { group.cancelAll() }
                try await writer.write(buffer)
            }
        }
    }
}

// @unchecked: a task may be cancelled from anywhere, and this one outlives the group that does it.
private struct Writing: @unchecked Sendable {
    let task: UnsafeCurrentTask?
}
