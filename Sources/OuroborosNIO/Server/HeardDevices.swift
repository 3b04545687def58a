import NIOCore
import Ouroboros

/// For those who have something for a device once it is awake.
extension OuroborosServer {
    /// `tell` is called, on an event loop, when one of the devices of ``heard(of:within:)`` is heard again.
    package func tellHeard(_ tell: @escaping @Sendable (DeviceID) -> Void) {
        workers.hub.tellHeard(tell)
    }

    /// Those of these devices that were heard within this time, and how long ago that is. Of each of them it is told once when
    /// it is heard next.
    package func heard(
        of devices: Set<DeviceID>, within limit: Duration
    ) async throws -> [DeviceID: Duration] {
        guard !devices.isEmpty else { return [:] }
        var heard: [DeviceID: Duration] = [:]
        for worker in workers.hub.workers {
            let own = try await worker.loop.submit { worker.heard(of: devices, within: limit) }.get()
            heard.merge(own) { min($0, $1) }
        }
        return heard
    }

    /// Of others it is not told any more.
    package func tellOnly(of devices: @escaping @Sendable () -> Set<DeviceID>) {
        for worker in workers.hub.workers {
            worker.loop.execute { worker.awaited.formIntersection(devices()) }
        }
    }
}

extension ServerEngine {
    fileprivate func heard(of devices: Set<DeviceID>, within limit: Duration) -> [DeviceID: Duration] {
        awaited.formUnion(devices)
        var heard: [DeviceID: Duration] = [:]
        for device in devices {
            if let peer = reachable(device), case let silence = silence(of: peer), silence < limit {
                heard[device] = silence
            }
        }
        return heard
    }

    /// A packet of this device was authentic.
    func tellHeard(_ device: DeviceID) {
        if !awaited.isEmpty, awaited.remove(device) != nil {
            hub.heard(device)
        }
    }
}
