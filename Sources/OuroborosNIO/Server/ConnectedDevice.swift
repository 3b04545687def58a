import NIOCore
import Ouroboros

/// What a server knows of a device that has a session.
public struct ConnectedDevice: Sendable, Hashable {
    public let device: DeviceID
    /// Since it was last heard.
    public let silence: Duration
    public let epoch: UInt64
    public let statistics: Statistics
}

extension OuroborosServer {
    /// The devices that have a session, each once: over whichever transport it was heard last.
    public func connectedDevices() async throws -> [ConnectedDevice] {
        var newest: [DeviceID: ConnectedDevice] = [:]
        for worker in workers.hub.workers {
            for device in try await worker.loop.submit({ worker.connectedDevices }).get() {
                if let other = newest[device.device], other.silence <= device.silence { continue }
                newest[device.device] = device
            }
        }
        return Array(newest.values)
    }

    /// The same devices, and no more than how long they are silent.
    package func silences() async throws -> [DeviceID: Duration] {
        var silences: [DeviceID: Duration] = [:]
        for worker in workers.hub.workers {
            let own = try await worker.loop.submit {
                worker.devices.linked.values.filter { !$0.isClosing }
                    .map { ($0.device, worker.silence(of: $0)) }
            }.get()
            silences.merge(own) { min($0, $1) }
        }
        return silences
    }

    /// Since when a device was not heard; nil when it has no session.
    public func silence(of device: DeviceID) async throws -> Duration? {
        guard let worker = workers.hub.worker(of: device) else { return nil }
        return try await worker.loop.submit {
            worker.reachable(device).map { worker.silence(of: $0) }
        }.get()
    }
}

extension OuroborosServer {
    /// The address that a device's last session came from, as `HOST:PORT`; nil when it is not known here.
    package func address(of device: DeviceID) async throws -> String? {
        guard let worker = workers.hub.worker(of: device) else { return nil }
        return try await worker.loop.submit {
            [worker.devices.peers[device]?.places.newest, worker.streams.devices[device]?.places.newest]
                .compactMap(\.self).max { $0.at < $1.at }?.address
        }.get()
    }
}

extension ServerEngine {
    fileprivate var connectedDevices: [ConnectedDevice] {
        var newest: [DeviceID: ServerPeer] = [:]
        for peer in devices.linked.values where !peer.isClosing {
            if let other = newest[peer.device], other.lastHeard >= peer.lastHeard { continue }
            newest[peer.device] = peer
        }
        return newest.values.compactMap { peer in
            guard let link = peer.link else { return nil }
            return ConnectedDevice(
                device: peer.device, silence: silence(of: peer), epoch: peer.accepted.epoch,
                statistics: link.statistics)
        }
    }

    func silence(of peer: ServerPeer) -> Duration {
        .milliseconds(now - peer.lastHeard)
    }
}
