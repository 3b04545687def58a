import Foundation
import LibC
import TestSupport

/// Lines as a process writes them.
final class Lines: Sendable {
    private let state = Locked<(lines: [String], isEnded: Bool)>(([], false))

    var all: [String] { state.withLock(\.lines) }
    var count: Int { state.withLock(\.lines.count) }
    var isEnded: Bool { state.withLock(\.isEnded) }

    func add(_ line: String) {
        state.withLock { $0.lines.append(line.trimmingCharacters(in: .newlines)) }
    }

    func end() {
        state.withLock { $0.isEnded = true }
    }

    /// The first with this text.
    @discardableResult
    func first(
        containing text: String, within limit: Duration = .seconds(60), file: String = #fileID,
        line: Int = #line
    ) async throws -> String {
        try await wait("“\(text)”", within: limit, file, line) { lines in
            lines.first { $0.contains(text) }
        }
    }

    /// All there are, once there are so many: what a process wrote is on its way when others hear of it.
    func atLeast(
        _ count: Int, within limit: Duration = .seconds(60), file: String = #fileID, line: Int = #line
    ) async throws -> [String] {
        try await wait("\(count) lines", within: limit, file, line) { $0.count >= count ? $0 : nil }
    }

    func waitForEnd(
        within limit: Duration = .seconds(60), file: String = #fileID, line: Int = #line
    ) async throws {
        try await bounded("\(file):\(line): the end, after \(self.all.suffix(5))", by: limit) { [self] in
            while !isEnded { try await Task.sleep(for: .milliseconds(5)) }
        }
    }

    private func wait<Found: Sendable>(
        _ what: String, within limit: Duration, _ file: String, _ line: Int,
        _ find: @escaping @Sendable ([String]) -> Found?
    ) async throws -> Found {
        try await bounded("\(file):\(line): \(what) after \(self.all.suffix(5))", by: limit) { [self] in
            while true {
                let (lines, isEnded) = state.withLock(\.self)
                if let found = find(lines) { return found }
                if isEnded { throw Hung("\(file):\(line): it ended without \(what): \(lines.suffix(5))") }
                try await Task.sleep(for: .milliseconds(5))
            }
        }
    }
}
