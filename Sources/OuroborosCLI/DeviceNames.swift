import Ouroboros
import OuroborosStore
import Synchronization

/// The devices of a store and their names, read again when somebody has changed it.
final class DeviceNames: Sendable {
    private let store: GatewayStore?
    private let known = Mutex<(token: Int64, names: [DeviceID: String])?>(nil)

    init(_ store: GatewayStore?) {
        self.store = store
    }

    /// Without a store nobody is known beforehand.
    func current() throws -> [DeviceID: String] {
        guard let store else { return [:] }
        let token = try store.changeToken()
        return try known.withLock { known in
            if let known, known.token == token {
                return known.names
            }
            let names = Dictionary(uniqueKeysWithValues: try store.list().map { ($0.id, $0.name) })
            known = (token, names)
            return names
        }
    }
}
