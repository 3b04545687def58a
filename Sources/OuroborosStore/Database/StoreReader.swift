import GRDB

/// A second connection to a store, which only reads: beside a write-ahead log it never waits for a writer.
struct StoreReader {
    let queue: DatabaseQueue
    private let path: String
    private let health: SharedWriteHealth

    init(_ store: StoreDatabase) throws {
        path = store.path
        health = store.health
        var configuration = Configuration()
        configuration.label = "ouroboros.store.reader"
        configuration.readonly = true
        configuration.busyMode = .timeout(2)
        do {
            queue = try DatabaseQueue(path: path, configuration: configuration)
        } catch {
            throw StoreDatabase.translate(error, path)
        }
    }

    func read<Value>(_ body: (Database) throws -> Value) throws -> Value {
        do {
            return try queue.read(body)
        } catch {
            throw health.translated(error, path)
        }
    }
}
