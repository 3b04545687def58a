import Ouroboros

/// What a gateway knows of a device's presence.
package enum DeviceStatus: String, Sendable, Hashable {
    /// It has a session, and was heard lately.
    case online
    /// It was not heard for a while, with a session or without, and may well come again.
    case sleeping
    /// It should have been heard again by now, or never was.
    case offline
}

/// What the broker has retained of the devices' statuses, and which gateway said so.
///
/// Several gateways may serve one fleet: one that has no session of a device says nothing of it, unless it was the
/// last to say something, or nobody did.
struct StatusBoard {
    private struct Retained: Equatable {
        let status: DeviceStatus
        let gateway: String?
    }

    private static let mostDevices = 200_000

    private let gateway: String
    private var retained: [DeviceID: Retained] = [:]

    init(gateway: String) {
        self.gateway = gateway
    }

    /// The broker told what is retained: of another run, of another gateway, or of this one.
    mutating func note(_ device: DeviceID, _ status: DeviceStatus?, by other: String?) {
        guard let status else {
            retained[device] = nil
            return
        }
        guard retained[device] != nil || retained.count < Self.mostDevices else { return }
        retained[device] = Retained(status: status, gateway: other)
    }

    /// The devices of which this gateway was the last to say something.
    var own: Set<DeviceID> { Set(retained.filter { $0.value.gateway == gateway }.keys) }

    /// Nothing is retained of it any more.
    mutating func forget(_ device: DeviceID) {
        retained[device] = nil
    }

    /// What is to be published, now that the devices here are so. `gone` have no session here: of those others may
    /// speak.
    mutating func changes(
        now statuses: [DeviceID: DeviceStatus], gone: [DeviceID: DeviceStatus]
    ) -> [DeviceID: DeviceStatus] {
        var changes: [DeviceID: DeviceStatus] = [:]
        for (device, status) in statuses where retained[device]?.status != status {
            changes[device] = status
        }
        for (device, status) in gone where statuses[device] == nil && retained[device] == nil {
            changes[device] = status
        }
        for (device, last) in retained where last.gateway == gateway && statuses[device] == nil {
            let status = gone[device] ?? .offline
            if last.status != status {
                changes[device] = status
            }
        }
        for (device, status) in changes {
            retained[device] = Retained(status: status, gateway: gateway)
        }
        return changes
    }
}
