import GRDB
import LibC
import Ouroboros

/// Why a file cannot be used, told apart by what may be done about it.
enum StoreFailure: Hashable, CaseIterable {
    /// Another process is writing.
    case locked
    case full
    case notWritable
    case inputOutput
    /// Something else: it may pass, too.
    case other
    case damaged
    case foreign

    init(_ code: ResultCode) {
        self =
            switch code.primaryResultCode {
            case .SQLITE_BUSY, .SQLITE_LOCKED, .SQLITE_PROTOCOL: .locked
            case .SQLITE_FULL, .SQLITE_NOLFS: .full
            case .SQLITE_READONLY, .SQLITE_CANTOPEN, .SQLITE_PERM: .notWritable
            case .SQLITE_IOERR: .inputOutput
            case .SQLITE_CORRUPT: .damaged
            case .SQLITE_NOTADB: .foreign
            default: .other
            }
    }

    /// Of a call to the system.
    init(errno: Int32) {
        self =
            switch errno {
            case EWOULDBLOCK, EBUSY: .locked
            case ENOSPC, EDQUOT, EFBIG: .full
            case EROFS: .notWritable
            case EIO, ESTALE, ETIMEDOUT, EMFILE, ENFILE: .inputOutput
            default: .other
            }
    }

    /// Another try may succeed, and nobody has to do anything about the file itself.
    var passes: Bool { self != .damaged && self != .foreign }

    /// `words` are SQLite's own, which hold no values.
    func error(_ path: String, _ words: @autoclosure () -> String) -> OuroborosError {
        let message =
            switch self {
            case .locked: "“\(path)” is in use by another process"
            case .full: "the disk is full: “\(path)” was not changed"
            case .notWritable: "“\(path)” cannot be written"
            case .inputOutput, .other: "“\(path)”: \(words())"
            case .damaged: "“\(path)” is damaged: restore it from a backup"
            case .foreign: "“\(path)” is no store of Ouroboros: name another file"
            }
        return OuroborosError(passes ? .busy : .storage, message)
    }
}
