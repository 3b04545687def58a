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
