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
        try await engine.loop.submit { [engine] in engine.connectedDevices }.get()
    }
}

extension ServerEngine {
    fileprivate var connectedDevices: [ConnectedDevice] {
        var newest: [DeviceID: ServerPeer] = [:]
        for peer in linked.values where !peer.isClosing {
            if let other = newest[peer.device], other.lastHeard >= peer.lastHeard { continue }
            newest[peer.device] = peer
        }
        return newest.values.compactMap { peer in
            guard let link = peer.link else { return nil }
            return ConnectedDevice(
                device: peer.device, silence: .milliseconds(now - peer.lastHeard), epoch: peer.accepted.epoch,
                statistics: link.statistics)
        }
    }
}
