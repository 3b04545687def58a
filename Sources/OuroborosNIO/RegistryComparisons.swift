import Ouroboros

/// Devices that are to be compared with the registry, a few at a time.
struct RegistryComparisons {
    var waiting: [DeviceID] = []
    var underWay = 0

    static let most = 8
}

extension ServerEngine {
    var knownDevices: [DeviceID] { Array(Set(peers.keys).union(streams.devices.keys)) }

    /// Ends what there is of devices that are not known any more, or have another key.
    func compare(_ devices: [DeviceID]) {
        comparisons.waiting.append(contentsOf: Set(devices).subtracting(comparisons.waiting))
        compareNext()
    }

    func compareNext() {
        while comparisons.underWay < RegistryComparisons.most, let device = comparisons.waiting.popLast() {
            comparisons.underWay += 1
            let isAsked = registry.ask(for: device) { [self] result in
                comparisons.underWay -= 1
                if case .success(let credential)? = result {
                    compare(device, with: credential)
                }
                compareNext()
                finishTurn()
            }
            if !isAsked {
                // The registry is busy: the next answer, or the sweep, goes on with it.
                comparisons.underWay -= 1
                comparisons.waiting.append(device)
                return
            }
        }
    }

    private func compare(_ device: DeviceID, with credential: Credential?) {
        guard let credential else {
            forget(device)
            return
        }
        // A new root key ends what the old one began. A later epoch is another gateway's doing.
        let held = [peers[device]?.accepted, streams.devices[device]?.accepted].compactMap(\.?.credential)
        if held.contains(where: {
            $0 != credential && ($0.kind != credential.kind || credential.epoch <= $0.epoch)
        }) {
            forget(device)
        }
    }

    func dropUnknownDevices() throws {
        guard let local = registry.local else {
            compare(knownDevices)
            return
        }
        for device in knownDevices {
            compare(device, with: try local.credential(of: device))
        }
        finishTurn()
    }
}
