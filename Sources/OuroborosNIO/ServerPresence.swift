import Ouroboros

extension OuroborosServer {
    /// How long ago each device that has a session was last heard.
    public func silences() async throws -> [DeviceID: Duration] {
        var silences: [DeviceID: Duration] = [:]
        for worker in workers.hub.workers {
            silences.merge(try await worker.loop.submit { worker.silences }.get(), uniquingKeysWith: min)
        }
        return silences
    }

    /// The same of one device; nil when it has no session.
    public func silence(of device: DeviceID) async throws -> Duration? {
        guard let worker = workers.hub.worker(of: device) else { return nil }
        return try await worker.loop.submit {
            worker.reachable(device).map { worker.silence(of: $0) }
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
