import GRDB
import LibC
import Ouroboros

/// A gateway's store for those who must not wait on a thread for a disk.
package struct AwaitedStore: Sendable {
    private let store: GatewayStore
    private let lookups = OwnThread()
    /// A list of thousands is no reason for a HELLO to wait.
    private let lists = OwnThread()
    private let writes = OwnThread()

    private static let patience = Duration.seconds(10)
    private static let pause = Duration.milliseconds(250)
    /// How often somebody has to look whether it was written, with the system's help and without.
    private static let seldom = Duration.seconds(10)
    /// A change is there for others once it is on the disk, of which nobody tells.
    private static let untilDurable: [Duration] = [
        .milliseconds(200), .milliseconds(500), .seconds(1), .seconds(2),
    ]
    private static let often = Duration.seconds(1)

    package init(_ store: GatewayStore) {
        self.store = store
    }

    package var isSealed: Bool { store.isSealed }

    /// Throws when it cannot be read.
    package func check() async throws {
        try await lists.runUnlessCancelled { [store] in
            try store.lists.read { _ = try Row.fetchOne($0, sql: "SELECT 1 FROM device") }
        }
    }

    /// Tells, for one reader, that somebody may have written the store, the first time at once.
    package func writings() -> AsyncStream<Void> {
        let (writings, writing) = AsyncStream.makeStream(
            of: Void.self, bufferingPolicy: .bufferingNewest(1))
        // What is written goes into the write-ahead log first.
        let after = Locked<Task<Void, Never>?>(nil)
        let changes = FileChanges(of: path + "-wal") {
            writing.yield()
            after.withLock { after in
                after?.cancel()
                after = Task {
                    for pause in Self.untilDurable {
                        guard (try? await Task.sleep(for: pause)) != nil else { return }
                        writing.yield()
                    }
                }
            }
        }
        let period = changes == nil ? Self.often : Self.seldom
        let looks = Task {
            repeat {
                writing.yield()
            } while (try? await Task.sleep(for: period)) != nil
        }
        writing.onTermination = { _ in
            looks.cancel()
            after.withLock { $0?.cancel() }
            withExtendedLifetime(changes) {}
        }
        return writings
    }

    package func changeToken() async throws -> Int64 {
        try await writes.runUnlessCancelled { [store] in try store.changeToken() }
    }

    package func tidy() async throws {
        try await writes.run { [store] in try store.tidy() }
    }
}

extension AwaitedStore: AwaitedDeviceRegistry {
    package func credential(of device: DeviceID) async throws -> Credential? {
        try await lookups.runUnlessCancelled { [store] in try store.credential(of: device) }
    }

    package func isDisabled(_ device: DeviceID) async throws -> Bool {
        try await lookups.runUnlessCancelled { [store] in try store.isDisabled(device) }
    }

    /// A busy file is waited for, and the device with it, but not for ever: then it begins anew.
    package func advance(to credential: Credential, from epoch: UInt64) async throws {
        let end = ContinuousClock.now + Self.patience
        while true {
            do {
                return try await writes.run { [store] in
                    try store.database.health.refuseWhileFailing()
                    try store.advance(to: credential)
                }
            } catch let error as OuroborosError where error.code == .busy && .now < end {
                try await Task.sleep(for: Self.pause)
            }
        }
    }
}

extension AwaitedStore: DeviceDirectory, ActivityStore {
    package func records(of devices: Set<DeviceID>?) async throws -> [DeviceRecord] {
        try await lists.runUnlessCancelled { [store] in try store.records(of: devices) }
    }

    package func count(_ activities: [DeviceID: DeviceActivity], at time: Int64) async throws {
        try await writes.run { [store] in try store.count(activities, at: time) }
    }
}

extension AwaitedStore: WatchedFile {
    package var path: String { store.database.path }
    package var unreadable: UnreadableRows { store.unreadable }
    package var failures: AsyncStream<Void> { store.database.health.failures }
    package var trouble: OuroborosError? {
        store.database.health.trouble ?? [lookups, lists, writes].hang(at: path)
    }
    package var damage: OuroborosError? { store.database.health.damage }

    package func probe() async throws {
        try await writes.runUnlessCancelled { [store] in try store.database.probe() }
    }
}
