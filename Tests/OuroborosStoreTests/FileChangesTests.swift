import Ouroboros
import TestSupport
import Testing

@testable import OuroborosStore

/// Who writes a store is told by the system.
@Suite(.timeLimit(.minutes(1))) struct FileChangesTests {
    let scratch: Scratch

    init() throws {
        scratch = try Scratch()
    }

    /// Sooner than anybody looks by himself.
    @Test func whatAnotherWritesIsTold() async throws {
        let path = scratch.file("gateway")
        let store = AwaitedStore(try GatewayStore(path: path))
        let (seen, see) = AsyncStream.makeStream(of: Int64.self)
        let reader = Task {
            for await _ in store.writings() { see.yield(try await store.changeToken()) }
        }
        var tokens = seen.makeAsyncIterator()
        let first = try #require(await tokens.next())
        let other = try GatewayStore(path: path)
        try other.add(.fixed(device: DeviceID(number: 1), rootKey: .random()), name: "")
        let later = Task { () -> Bool in
            for await token in seen where token != first { return true }
            return false
        }
        #expect(try await bounded("the other's writing", by: .seconds(5)) { await later.value })
        reader.cancel()
        _ = await reader.result
    }

    @Test func aFileThatIsNotThereIsNotFollowed() {
        #expect(FileChanges(of: scratch.file("nothing")) {} == nil)
    }
}
