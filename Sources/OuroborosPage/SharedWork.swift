import LibC

/// What is made of one state for those who look: each thing once, however many ask for it.
final class SharedWork<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private let tasks = Locked<[Key: Task<Value, Never>]>([:])

    /// More are made for each who asks: keys may be anybody's choice.
    private static var most: Int { 64 }

    init() {}

    /// How many things were made and kept.
    var count: Int { tasks.withLock(\.count) }

    func value(for key: Key, _ make: @escaping @Sendable () async -> Value) async -> Value {
        let task = tasks.withLock { tasks -> Task<Value, Never>? in
            if let task = tasks[key] { return task }
            guard tasks.count < Self.most else { return nil }
            let task = Task { await make() }
            tasks[key] = task
            return task
        }
        guard let task else { return await make() }
        return await task.value
    }
}
