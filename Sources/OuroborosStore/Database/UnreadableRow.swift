import LibC
import Ouroboros

/// A row of a database holds what cannot be: somebody else wrote to it, or it is damaged.
package struct UnreadableRow: Error, CustomStringConvertible {
    package let description: String

    package init(table: String, column: String, _ what: String) {
        description = "“\(column)” of a row of the table “\(table)” \(what)"
    }
}

/// Reads rows that others may have written.
package protocol ReadsRows: Sendable {
    var unreadable: UnreadableRows { get }
}

/// Rows that hold what cannot be are passed over, so that they keep nobody from the others. Each reason is told once.
package final class UnreadableRows: Sendable {
    private struct State {
        var tell: (@Sendable (String) -> Void)?
        var told: Set<String> = []
    }

    private let state = Locked(State())
    private static let most = 1000

    package init() {}

    package func tell(_ tell: @escaping @Sendable (String) -> Void) {
        state.withLock { $0.tell = tell }
    }

    package func note(_ reason: String) {
        let tell = state.withLock { state in
            if state.told.count >= Self.most { state.told = [] }
            return state.told.insert(reason).inserted ? state.tell : nil
        }
        tell?("a row is passed over: \(reason)")
    }

    /// What `read` makes of the rows that it can read.
    package func readable<Row, Value>(
        _ rows: some Sequence<Row>, _ read: (Row) throws -> Value
    ) throws -> [Value] {
        try rows.compactMap { row in
            do {
                return try read(row)
            } catch let error as UnreadableRow {
                note("\(error)")
                return nil
            }
        }
    }
}
