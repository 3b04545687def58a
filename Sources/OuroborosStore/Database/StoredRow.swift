import Foundation
import Ouroboros

/// A row of a database. Whoever may write there may have put anything into it: what cannot be is an ``UnreadableRow``,
/// which names the table and the column.
package protocol StoredRow {
    associatedtype Column

    func optionalInteger(_ column: Column) throws -> Int64?
    func optionalText(_ column: Column) throws -> String?
    func optionalBytes(_ column: Column) throws -> Data?
    func wrong(_ column: Column, _ what: String) -> UnreadableRow
}

/// Of the year 9999.
private let lastSecond: Int64 = 253_402_300_799

extension StoredRow {
    package func integer(_ column: Column) throws -> Int64 {
        guard let number = try optionalInteger(column) else { throw wrong(column, "is missing") }
        return number
    }

    package func text(_ column: Column) throws -> String {
        guard let text = try optionalText(column) else { throw wrong(column, "is missing") }
        return text
    }

    package func bytes(_ column: Column) throws -> Data {
        guard let bytes = try optionalBytes(column) else { throw wrong(column, "is missing") }
        return bytes
    }

    /// A number that its type holds: none below 0, where that is unsigned.
    package func number<Number: FixedWidthInteger>(
        _ column: Column, as type: Number.Type = Number.self
    ) throws -> Number {
        guard let number = Number(exactly: try integer(column)) else {
            throw wrong(column, "is out of range")
        }
        return number
    }

    package func optionalNumber<Number: FixedWidthInteger>(
        _ column: Column, as type: Number.Type = Number.self
    ) throws -> Number? {
        try optionalInteger(column) == nil ? nil : number(column)
    }

    /// Since 1970. One that no clock shows becomes the nearest that one does: nobody who reckons with it gets out of range.
    package func optionalSeconds(_ column: Column) throws -> Int64? {
        try optionalInteger(column).map { min(max($0, 0), lastSecond) }
    }

    package func seconds(_ column: Column) throws -> Int64 {
        min(max(try integer(column), 0), lastSecond)
    }

    package func milliseconds(_ column: Column) throws -> Int64 {
        min(max(try integer(column), 0), lastSecond * 1000)
    }

    package func device(_ column: Column) throws -> DeviceID {
        guard let device = try? DeviceID(try bytes(column)) else { throw wrong(column, "is no device's id") }
        return device
    }

    package func kind(_ column: Column) throws -> Credential.Kind {
        switch try text(column) {
        case "fixed": return .fixed
        case "evolving": return .evolving
        default: throw wrong(column, "is neither fixed nor evolving")
        }
    }

    /// The name of a spool, which goes into the headers and client ids of sinks.
    package func identity(_ column: Column) throws -> String {
        let name = try text(column)
        guard name.utf8.count == 16, name.utf8.allSatisfy({ Hex.value(of: $0) != nil }) else {
            throw wrong(column, "is not 16 hexadecimal digits")
        }
        return name
    }

    package func state(_ column: Column) throws -> DownlinkState {
        guard let state = DownlinkState(rawValue: try text(column)) else {
            throw wrong(column, "is no state of a message")
        }
        return state
    }

    package func position(box: Column, sequence: Column) throws -> OutboxPosition? {
        guard let box: UInt32 = try optionalNumber(box), let sequence: UInt32 = try optionalNumber(sequence)
        else { return nil }
        return OutboxPosition(box: box, sequence: sequence)
    }
}
