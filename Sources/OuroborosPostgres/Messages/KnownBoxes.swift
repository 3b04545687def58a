import LibC
import Ouroboros
import OuroborosStore

/// A box of a device's.
struct PostgresBox: Hashable {
    let device: DeviceID
    let number: UInt32
}

/// What this gateway has written of boxes. Others may have changed it since: the database is asked whether it still holds.
final class KnownBoxes: Sendable {
    private let records = Locked<[PostgresBox: OnceRecord]>([:])

    private static let most = 10_000

    /// Nil unless all of them are known.
    func records(of boxes: [PostgresBox]) -> [PostgresBox: OnceRecord?]? {
        self.records.withLock { records in
            var found: [PostgresBox: OnceRecord?] = [:]
            for box in boxes {
                guard let record = records[box] else { return nil }
                found[box] = record
            }
            return found
        }
    }

    func note(_ new: [PostgresBox: OnceRecord]) {
        records.withLock { records in
            if records.count + new.count > Self.most { records = [:] }
            records.merge(new) { $1 }
        }
    }

    func forget(_ boxes: [PostgresBox]) {
        records.withLock { records in
            for box in boxes { records[box] = nil }
        }
    }
}
