import LibC
import Ouroboros
import OuroborosStore

/// The devices that belong here, as the store or the registry lists them. However many ask, it is read once in some
/// seconds, and nobody waits long for a database that hangs.
actor KnownDevices {
    struct Listing: Sendable {
        let records: [DeviceRecord]
        /// False when they could not be read for a while.
        let isCurrent: Bool
    }

    private let directory: (any DeviceDirectory)?
    private var records: [DeviceRecord] = []
    private var readAt: ContinuousClock.Instant?
    private var reading: Promised<Void>?

    private static let patience = Duration.seconds(1)
    /// How much older than asked for a list may be: a database that is slow once is not away.
    private static let tolerance = Duration.seconds(10)

    /// Without a directory nobody is known beforehand.
    init(_ directory: (any DeviceDirectory)?) {
        self.directory = directory
    }

    /// The list, read again when it is older than `age`; the last one when that fails.
    func listing(atMost age: Duration) async -> Listing {
        guard let directory else { return Listing(records: [], isCurrent: true) }
        if isOlder(than: age) {
            let reading = reading ?? read(directory)
            _ = try? await within(Self.patience) { try await reading.value() }
        }
        return Listing(records: records, isCurrent: !isOlder(than: age + Self.tolerance))
    }

    /// What people call these devices, as it is now.
    nonisolated func names(of devices: Set<DeviceID>) async throws -> [DeviceID: String] {
        let records = try await directory?.records(of: devices) ?? []
        return Dictionary(records.map { ($0.id, $0.name) }) { $1 }
    }

    private func isOlder(than age: Duration) -> Bool {
        readAt.map { .now - $0 > age } ?? true
    }

    private func read(_ directory: any DeviceDirectory) -> Promised<Void> {
        let isRead = Promised<Void>()
        reading = isRead
        Task {
            // Whoever keeps the store or the registry says in the log that it cannot be read.
            if let records = try? await directory.records(of: nil) {
                self.records = records
                readAt = .now
            }
            reading = nil
            isRead.finish(.success(()))
        }
        return isRead
    }
}
