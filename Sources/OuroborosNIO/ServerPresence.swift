import Ouroboros

extension OuroborosServer {
    /// How long ago each device that has a session was last heard.
    public func silences() async throws -> [DeviceID: Duration] {
        try await engine.loop.submit { [engine] in engine.silences }.get()
    }

    /// The same of one device; nil when it has no session.
    public func silence(of device: DeviceID) async throws -> Duration? {
        try await engine.loop.submit { [engine] in
            engine.reachable(device).map { engine.silence(of: $0) }
        }.get()
    }
}

extension ServerEngine {
    fileprivate var silences: [DeviceID: Duration] {
        var silences: [DeviceID: Duration] = [:]
        for peer in linked.values where !peer.isClosing {
            silences[peer.device] = min(silences[peer.device] ?? .seconds(Int64.max), silence(of: peer))
        }
        return silences
    }

    fileprivate func silence(of peer: ServerPeer) -> Duration {
        .milliseconds(now - peer.lastHeard)
    }
}
