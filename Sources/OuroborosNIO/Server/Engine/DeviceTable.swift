import Ouroboros

/// A worker's devices over datagrams, and all of its links, by what packets and messages name.
struct DeviceTable {
    private(set) var peers: [DeviceID: ServerPeer] = [:]
    /// A stream's packets are its own: no datagram finds its session here.
    private(set) var sessions: [UInt32: ServerPeer] = [:]
    /// Every link there is, streams' too, by its number.
    private(set) var linked: [UInt64: ServerPeer] = [:]
    private var links: UInt64 = 0

    // MARK: Devices

    mutating func add(_ peer: ServerPeer) {
        peers[peer.device] = peer
    }

    mutating func remove(_ device: DeviceID) {
        peers[device] = nil
    }

    mutating func removeAll() {
        peers.removeAll()
    }

    /// Devices without a session are forgotten after so long.
    mutating func forgetSilent(now: UInt64, for silence: UInt64) {
        for peer in Array(peers.values)
        where peer.link == nil && !peer.accepted.hasPendingSessions && now - peer.lastHeard >= silence {
            remove(peer.device)
        }
    }

    // MARK: Links

    mutating func give(_ link: Link, to peer: ServerPeer) {
        links += 1
        peer.link = link
        peer.linkNumber = links
        linked[links] = peer
    }

    /// The link that it had.
    mutating func takeLink(of peer: ServerPeer) -> Link? {
        guard let link = peer.link else { return nil }
        note([], of: peer)
        peer.link = nil
        linked[peer.linkNumber] = nil
        return link
    }

    /// The sessions follow what a link holds.
    mutating func note(_ held: [UInt32], of peer: ServerPeer) {
        guard held != peer.sessions else { return }
        if peer.stream == nil {
            for id in peer.sessions where !held.contains(id) {
                sessions[id] = nil
            }
            for id in held {
                sessions[id] = peer
            }
        }
        peer.sessions = held
    }

    /// A link has a session of this number, over whichever transport.
    func isTaken(_ session: UInt32) -> Bool {
        sessions[session] != nil || linked.values.contains { $0.sessions.contains(session) }
    }

    var longestSilent: ServerPeer? {
        linked.values.min { $0.lastHeard < $1.lastHeard }
    }
}
