import GRDB
import TestSupport

@testable import OuroborosStore

typealias Scratch = TestSupport.Scratch

extension StoreDatabase {
    /// The file may have so many pages more than now: a disk that is full soon.
    func limitPages(to more: Int = 4) throws {
        try queue.writeWithoutTransaction { database in
            let pages = try Int.fetchOne(database, sql: "PRAGMA page_count") ?? 0
            try database.execute(sql: "PRAGMA max_page_count = \(pages + more)")
        }
    }
}

extension StoreDatabase.Purpose {
    /// A file with a row, as an earlier version of the schema had it.
    func makeFile(
        _ path: String, version: Int, _ insertion: String, _ arguments: StatementArguments
    ) throws {
        try PrivateFile.prepare(path)
        let queue = try DatabaseQueue(path: path)
        try queue.write { database in
            for step in steps[..<version] {
                try database.execute(sql: step)
            }
            try database.execute(sql: "PRAGMA application_id = \(rawValue)")
            try database.execute(sql: "PRAGMA user_version = \(version)")
            try database.execute(sql: insertion, arguments: arguments)
        }
        try queue.close()
    }
}
