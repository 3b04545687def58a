import Ouroboros

/// HELLOs that may still be answered, by the addresses that they went between.
struct HelloTable {
    struct Entry {
        let packet: [UInt8]
        let hello: Hello
        let source: Endpoint
        let destination: Endpoint
        let time: CaptureTime
        var copies = 1
        var isAnswered = false
    }

    private struct Pair: Hashable {
        let client, server: Endpoint
    }

    enum Novelty {
        case new
        /// The same bytes between the same addresses.
        case again
        /// The same bytes, first from there.
        case elsewhere(Endpoint)
    }

    private var entries: [Pair: Entry] = [:]
    /// Where the bytes of those came from first.
    private var sources: [[UInt8]: Endpoint] = [:]
    private static let limit = 4096

    /// Those that were forgotten, or replaced, without an answer.
    private(set) var unanswered: UInt64 = 0

    var waiting: UInt64 { UInt64(entries.values.count { !$0.isAnswered }) }

    mutating func add(_ entry: Entry) -> Novelty {
        let pair = Pair(client: entry.source, server: entry.destination)
        if entries[pair]?.packet == entry.packet {
            entries[pair]?.copies += 1
            return .again
        }
        let first = sources[entry.packet]
        if let old = entries.removeValue(forKey: pair) {
            unanswered += old.isAnswered ? 0 : 1
            sources[old.packet] = nil
        }
        if entries.count >= Self.limit {
            unanswered += waiting
            entries.removeAll()
            sources.removeAll()
        }
        entries[pair] = entry
        guard let first, first != entry.source else {
            sources[entry.packet] = entry.source
            return .new
        }
        return .elsewhere(first)
    }

    /// The HELLO that a WELCOME between these addresses answers.
    mutating func answer(from server: Endpoint, to client: Endpoint, epoch: UInt64) -> Entry? {
        let pair = Pair(client: client, server: server)
        guard let entry = entries[pair], entry.hello.epoch == epoch else { return nil }
        entries[pair]?.isAnswered = true
        return entry
    }
}
