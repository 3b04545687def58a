import CCSV
import LibC
import Ouroboros
import OuroborosStore

/// Devices of a CSV file (RFC 4180). Its first row names the columns: `device`, `name`, `kind`, `key` and `tags`, each of
/// which may be missing; so may a value.
struct DeviceTable {
    struct Row {
        var device: DeviceID?
        var name = ""
        var kind = DeviceCommand.Kind.evolving
        var key: RootKey?
        var tags: [String] = []
    }

    private enum Column: String, CaseIterable {
        case device, name, kind, key, tags
    }

    static let mostBytes = 64 << 20

    private(set) var rows: [Row] = []
    private var columns: [Column]?
    private var names: [Column] = []
    private var row = Row()
    private var field = 0
    private var problem: OuroborosError?

    init(_ bytes: SecretBytes) throws {
        var parser = csv_parser()
        guard csv_init(&parser, UInt8(CSV_STRICT | CSV_STRICT_FINI)) == 0 else {
            throw OuroborosError(.engine, "reading CSV: out of memory")
        }
        // A buffer that grows leaves a copy of a key behind.
        csv_set_blk_size(&parser, 65_536)
        defer {
            if let buffer = parser.entry_buf { explicit_bzero(buffer, parser.entry_size) }
            csv_free(&parser)
        }
        let tookField: @convention(c) (UnsafeMutableRawPointer?, Int, UnsafeMutableRawPointer?) -> Void = {
            bytes, count, table in
            table?.assumingMemoryBound(to: DeviceTable.self).pointee
                .take(UnsafeRawBufferPointer(start: bytes, count: bytes == nil ? 0 : count))
        }
        let tookRow: @convention(c) (Int32, UnsafeMutableRawPointer?) -> Void = { _, table in
            table?.assumingMemoryBound(to: DeviceTable.self).pointee.endRow()
        }
        let isRead = withUnsafeMutablePointer(to: &self) { table in
            bytes.withUnsafeBytes { bytes in
                let text = UnsafeRawBufferPointer(
                    rebasing: bytes.starts(with: Self.byteOrderMark) ? bytes[3...] : bytes[...])
                return csv_parse(&parser, text.baseAddress, text.count, tookField, tookRow, table)
                    == text.count && csv_fini(&parser, tookField, tookRow, table) == 0
            }
        }
        if let problem { throw problem }
        guard isRead else {
            let words = csv_strerror(csv_error(&parser)).map { String(cString: $0) } ?? "it cannot be read"
            throw OuroborosError(.storage, "row \(rowNumber): \(words)")
        }
        guard columns != nil else {
            throw OuroborosError(
                .storage, "it is empty: its first row names the columns (device, name, kind, key, tags)")
        }
    }

    /// Which some programs put before UTF-8.
    private static let byteOrderMark: [UInt8] = [0xef, 0xbb, 0xbf]

    private var rowNumber: Int { columns == nil ? 1 : rows.count + 2 }

    private mutating func take(_ bytes: UnsafeRawBufferPointer) {
        guard problem == nil else { return }
        do {
            try read(bytes)
        } catch let error as OuroborosError {
            problem = OuroborosError(error.code, "row \(rowNumber): \(error.message)")
        } catch {
            problem = OuroborosError(.storage, "row \(rowNumber): \(error)")
        }
        field += 1
    }

    private mutating func read(_ bytes: UnsafeRawBufferPointer) throws {
        guard let columns else {
            let name = String(decoding: bytes, as: UTF8.self)
            guard let column = Column(rawValue: name.lowercased()), !names.contains(column) else {
                throw OuroborosError(
                    .storage,
                    "“\(name)” is no column, or is there twice: device, name, kind, key and tags are")
            }
            return names.append(column)
        }
        guard field < columns.count else {
            throw OuroborosError(.storage, "it has more values than the first row has names")
        }
        guard !bytes.isEmpty else { return }
        let column = columns[field]
        if column == .key {
            row.key = try SecretKey(hex: bytes)
            return
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw OuroborosError(.storage, "the \(column.rawValue) is no UTF-8")
        }
        switch column {
        case .device: row.device = try DeviceID(hex: text)
        case .name: row.name = text
        case .kind:
            guard let kind = DeviceCommand.Kind(rawValue: text) else {
                throw OuroborosError(.storage, "“\(text)” is no kind: evolving or fixed is")
            }
            row.kind = kind
        case .tags: row.tags = DeviceTags.list(try DeviceTags.text(DeviceTags.list(text)))
        case .key: break
        }
    }

    private mutating func endRow() {
        if columns == nil {
            columns = names
        } else if problem == nil, field > 0 {
            rows.append(row)
        }
        row = Row()
        field = 0
    }
}
