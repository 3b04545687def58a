import Ouroboros

/// Devices that are to be compared with the registry, a few at a time.
struct RegistryComparisons {
    var waiting: Set<DeviceID> = []
    /// Those of which there was no answer.
    private(set) var unanswered: Set<DeviceID> = []
    var underWay = 0

    static let most = 8

    mutating func put(off device: DeviceID) {
        unanswered.insert(device)
    }

    /// With each sweep.
    mutating func askAgain() {
        waiting.formUnion(unanswered)
        unanswered = []
    }
}

extension ServerEngine {
    var knownDevices: [DeviceID] { Array(Set(devices.peers.keys).union(streams.devices.keys)) }

    /// Ends what there is of devices that are not known any more, have another key, or a newer session elsewhere.
    func compare(_ devices: [DeviceID]) {
        comparisons.waiting.formUnion(devices)
        compareNext()
    }

    func compareNext() {
        while comparisons.underWay < RegistryComparisons.most, let device = comparisons.waiting.popFirst() {
            comparisons.underWay += 1
            let isAsked = registry.ask(for: device) { [self] result in
                comparisons.underWay -= 1
                if case .success(let known)? = result {
                    compare(device, with: known)
                } else {
                    comparisons.put(off: device)
                }
                compareNext()
                finishTurn()
            }
            if !isAsked {
                // The registry is busy: the next answer, or the sweep, goes on with it.
                comparisons.underWay -= 1
                comparisons.waiting.insert(device)
                return
            }
        }
    }

    private func compare(_ device: DeviceID, with known: SharedDevice) {
        guard let credential = known.credential else {
            forget(device)
            return
        }
        let held = [devices.peers[device]?.accepted, streams.devices[device]?.accepted].compactMap(
            \.?.credential)
        if held.contains(where: { $0.isReplaced(by: credential) }) {
            forget(device)
            return
        }
        // The workers of one gateway miss nothing.
        guard registry.shared != nil else { return }
        let newest = newestNumber(of: device) ?? 0
        if newest < known.number {
            retire(device, before: known.number)
        } else if newest > known.number, credential.kind == .fixed {
            // The registry was restored: from here on notices count again.
            registry.raise(device, to: newest) { [self] result in
                if case .failure(let error) = result { registryFailed("raising a generation", error, device) }
                finishTurn()
            }
        }
    }

    func dropUnknownDevices() throws {
        guard let local = registry.local else {
            compare(knownDevices)
            return
        }
        for device in knownDevices {
            compare(device, with: try local.device(device))
        }
        finishTurn()
    }
}

extension Credential {
    /// A new key ends what the old one began. A later epoch is a handshake's doing, over the other transport or at another
    /// gateway.
    func isReplaced(by known: Credential) -> Bool {
        self != known && (kind != known.kind || known.epoch <= epoch)
    }
}
