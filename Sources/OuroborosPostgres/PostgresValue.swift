import CPq
import Foundation
import Ouroboros

/// A parameter of a query, in PostgreSQL's binary form.
enum PostgresValue {
    case integer(Int64)
    case bytes(Data)
    case text(String)
    case null

    /// The types' numbers in PostgreSQL's catalogue (pg_type.dat).
    var type: Oid {
        switch self {
        case .integer: 20
        case .bytes: 17
        case .text: 25
        case .null: 0
        }
    }

    var bytes: [UInt8]? {
        switch self {
        case .integer(let number): withUnsafeBytes(of: number.bigEndian) { Array($0) }
        case .bytes(let data): Array(data)
        case .text(let text): Array(text.utf8)
        case .null: nil
        }
    }
}

/// A row of an answer.
struct PostgresRow {
    let columns: [[UInt8]?]

    func bytes(_ column: Int) throws -> Data {
        guard let bytes = columns[column] else { throw Self.wrong }
        return Data(bytes)
    }

    func text(_ column: Int) throws -> String {
        guard let bytes = columns[column], let text = String(validating: bytes, as: UTF8.self) else {
            throw Self.wrong
        }
        return text
    }

    func integer(_ column: Int) throws -> Int64 {
        guard let number = try optionalInteger(column) else { throw Self.wrong }
        return number
    }

    func optionalInteger(_ column: Int) throws -> Int64? {
        guard let bytes = columns[column] else { return nil }
        guard bytes.count == 8 else { throw Self.wrong }
        return bytes.reduce(0) { $0 << 8 | Int64($1) }
    }

    private static let wrong = OuroborosError(
        .storage, "the registry holds a value of the wrong type: was it changed?")
}
