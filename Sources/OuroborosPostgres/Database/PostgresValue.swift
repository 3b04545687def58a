import CPq
import Foundation
import Ouroboros

/// A parameter of a query, in PostgreSQL's binary form.
enum PostgresValue {
    case integer(Int64)
    case bytes(Data)
    case text(String)
    case null
    case integers([Int64?])
    case byteStrings([Data])
    case texts([String])

    /// The types' numbers in PostgreSQL's catalogue (pg_type.dat).
    var type: Oid {
        switch self {
        case .integer: 20
        case .bytes: 17
        case .text: 25
        case .null: 0
        case .integers: 1016
        case .byteStrings: 1001
        case .texts: 1009
        }
    }

    var bytes: [UInt8]? {
        switch self {
        case .integer(let number): Self.bigEndian(number)
        case .bytes(let data): Array(data)
        case .text(let text): Self.utf8(text)
        case .null: nil
        case .integers(let numbers): Self.array(numbers.map { $0.map(Self.bigEndian) }, of: 20)
        case .byteStrings(let strings): Self.array(strings.map { Array($0) }, of: 17)
        case .texts(let texts): Self.array(texts.map(Self.utf8), of: 25)
        }
    }

    /// A text of PostgreSQL's has no zero byte.
    private static func utf8(_ text: String) -> [UInt8] {
        text.utf8.filter { $0 != 0 }
    }

    private static func bigEndian(_ number: some FixedWidthInteger) -> [UInt8] {
        withUnsafeBytes(of: number.bigEndian) { Array($0) }
    }

    /// As PostgreSQL's array_recv reads it: dimensions, whether there are nulls, the elements' type, their count and
    /// the first one's index; then each with its length, which is -1 for null.
    private static func array(_ elements: [[UInt8]?], of type: Int32) -> [UInt8] {
        let hasNull: Int32 = elements.contains { $0 == nil } ? 1 : 0
        var bytes = [1, hasNull, type, Int32(elements.count), 1].flatMap(bigEndian)
        for element in elements {
            bytes += bigEndian(Int32(element?.count ?? -1)) + (element ?? [])
        }
        return bytes
    }
}
