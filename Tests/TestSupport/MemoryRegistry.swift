import LibC
import Ouroboros

/// Devices in memory.
package final class MemoryRegistry: DeviceRegistry {
    package struct Refusal: Error {}

    private let devices: Locked<[DeviceID: Credential]>
    private let refuses = Locked(false)

    package init(_ credentials: [Credential]) {
        devices = Locked(Dictionary(uniqueKeysWithValues: credentials.map { ($0.deviceID, $0) }))
    }

    package convenience init(_ credentials: Credential...) {
        self.init(credentials)
    }

    package func credential(of device: DeviceID) throws -> Credential? {
        devices.withLock { $0[device] }
    }

    package func advance(to credential: Credential) throws {
        if refuses.withLock({ $0 }) { throw Refusal() }
        devices.withLock { $0[credential.deviceID] = credential }
    }

    package func remove(_ device: DeviceID) {
        devices.withLock { _ = $0.removeValue(forKey: device) }
    }

    package func refuse(_ isRefusing: Bool) {
        refuses.withLock { $0 = isRefusing }
    }
}

/// A device's memory, in order.
package final class MemoryStore: CredentialStore {
    package struct Refusal: Error {}

    private let all: Locked<[Credential]> = Locked([])
    private let refuses: Bool

    package init(refuses: Bool = false) {
        self.refuses = refuses
    }

    package func save(_ credential: Credential) throws {
        if refuses { throw Refusal() }
        all.withLock { $0.append(credential) }
    }

    package var epochs: [UInt64] { all.withLock { $0.map(\.epoch) } }
    package var last: Credential? { all.withLock(\.last) }
}
