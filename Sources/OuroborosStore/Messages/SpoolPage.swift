import Ouroboros

/// A part of a spool.
public struct SpoolPage: Sendable, Hashable {
    /// In the order of their ids.
    public let messages: [SpooledMessage]
    /// The ids of rows between them that hold what no message can, and why.
    public let unreadable: [Int64: String]

    package init(messages: [SpooledMessage], unreadable: [Int64: String] = [:]) {
        self.messages = messages
        self.unreadable = unreadable
    }

    /// From rows in the order of their ids.
    package init<Row>(
        _ rows: some Sequence<Row>, id: (Row) throws -> Int64, message: (Row) throws -> SpooledMessage
    ) throws {
        var messages: [SpooledMessage] = []
        var unreadable: [Int64: String] = [:]
        for row in rows {
            do {
                messages.append(try message(row))
            } catch let error as UnreadableRow {
                unreadable[try id(row)] = "it cannot be read: \(error)"
            }
        }
        self.init(messages: messages, unreadable: unreadable)
    }

    /// Its last id; nil when there is none.
    public var end: Int64? {
        [messages.last?.id, unreadable.keys.max()].compactMap(\.self).max()
    }

    /// What of it lies up to a message.
    package func through(_ id: Int64) -> SpoolPage {
        SpoolPage(
            messages: messages.filter { $0.id <= id }, unreadable: unreadable.filter { $0.key <= id })
    }
}
