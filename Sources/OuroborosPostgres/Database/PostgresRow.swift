import Foundation
import Ouroboros
import OuroborosStore

/// A row of an answer.
struct PostgresRow: StoredRow {
    let table: String
    let names: [String]
    let columns: [[UInt8]?]

    func optionalInteger(_ column: Int) throws -> Int64? {
        guard let bytes = columns[column] else { return nil }
        guard bytes.count == 8 else { throw wrong(column, "is no bigint") }
        return bytes.reduce(0) { $0 << 8 | Int64($1) }
    }

    func optionalText(_ column: Int) throws -> String? {
        guard let bytes = columns[column] else { return nil }
        guard let text = String(validating: bytes, as: UTF8.self) else { throw wrong(column, "is no text") }
        return text
    }

    func optionalBytes(_ column: Int) throws -> Data? {
        columns[column].map { Data($0) }
    }

    func wrong(_ column: Int, _ what: String) -> UnreadableRow {
        UnreadableRow(table: "ouroboros.\(table)", column: names[column], what)
    }
}
