import Foundation
import GRDB

/// A row of an SQLite file.
struct FileRow: StoredRow {
    private let row: Row
    private let table: String

    init(_ row: Row, of table: String) {
        self.row = row
        self.table = table
    }

    func optionalInteger(_ column: String) throws -> Int64? {
        switch try value(column) {
        case .null: nil
        case .int64(let number): number
        default: throw wrong(column, "is no number")
        }
    }

    func optionalText(_ column: String) throws -> String? {
        switch try value(column) {
        case .null: nil
        case .string(let text): text
        default: throw wrong(column, "is no text")
        }
    }

    func optionalBytes(_ column: String) throws -> Data? {
        switch try value(column) {
        case .null: nil
        case .blob(let bytes): bytes
        default: throw wrong(column, "is no blob")
        }
    }

    private func value(_ column: String) throws -> DatabaseValue.Storage {
        guard let value = try? row.decode(DatabaseValue.self, forColumn: column) else {
            throw wrong(column, "is missing")
        }
        return value.storage
    }

    func wrong(_ column: String, _ what: String) -> UnreadableRow {
        UnreadableRow(table: table, column: column, what)
    }
}

extension Row {
    func of(_ table: String) -> FileRow { FileRow(self, of: table) }
}
