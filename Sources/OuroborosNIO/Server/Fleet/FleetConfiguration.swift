import NIOCore
import Ouroboros

/// What makes a server one of a fleet's gateways.
public struct FleetConfiguration: Sendable {
    /// 1 to 255, another one for each gateway: it is the upper byte of this gateway's session ids.
    public var gatewayNumber: UInt8
    /// What all gateways hold: the key of challenges, and of what they pass on, is derived from it.
    public var secret: SecretKey?
    /// How packets that landed on the wrong gateway are passed on; without it they are dropped.
    public var forwarding: Forwarding?

    public struct Forwarding: Sendable {
        /// A private address of this gateway's.
        public var address: SocketAddress
        /// Those of the other gateways, by number.
        public var peers: [UInt8: SocketAddress]

        public init(address: SocketAddress, peers: [UInt8: SocketAddress]) {
            self.address = address
            self.peers = peers
        }
    }

    public init(gatewayNumber: UInt8, secret: SecretKey? = nil, forwarding: Forwarding? = nil) {
        self.gatewayNumber = gatewayNumber
        self.secret = secret
        self.forwarding = forwarding
    }

    func check() throws {
        func refuse(_ reason: String) throws { throw OuroborosError(.invalidConfiguration, reason) }
        if gatewayNumber == 0 {
            try refuse("a gateway's number is 1 to 255, not 0")
        }
        guard let forwarding else { return }
        if secret == nil {
            try refuse("gateways that pass packets on need the fleet secret")
        }
        if forwarding.peers[gatewayNumber] != nil || forwarding.peers[0] != nil {
            try refuse("a peer has a number of its own, from 1 to 255: neither 0 nor \(gatewayNumber)")
        }
    }
}

/// How the upper bits of a session id tell the gateway and, in it, the worker whose session it is.
struct SessionNumbers: Sendable {
    enum Owner: Equatable {
        case gateway(UInt8)
        case worker(Int)
        case nobody
    }

    let gateway: UInt8?
    let workers: Int

    private var gatewayBits: Int { gateway == nil ? 0 : 8 }
    private var workerBits: Int { workers < 2 ? 0 : Int.bitWidth - (workers - 1).leadingZeroBitCount }

    var prefixBits: Int { gatewayBits + workerBits }

    func prefix(ofWorker worker: Int) -> UInt16 {
        UInt16(gateway ?? 0) << UInt16(workerBits) | UInt16(worker)
    }

    func owner(of sessionID: UInt32) -> Owner {
        if let gateway, sessionID >> 24 != gateway {
            return .gateway(UInt8(sessionID >> 24))
        }
        let worker = Int(sessionID >> UInt32(32 - prefixBits)) & (1 << workerBits - 1)
        return worker < workers ? .worker(worker) : .nobody
    }
}
