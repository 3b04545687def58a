import NIOCore
import Ouroboros

/// What makes a server one of a fleet's gateways.
public struct FleetConfiguration: Sendable {
    /// 1 to 255, another one for each gateway: it is the upper byte of this gateway's session ids.
    public var gatewayNumber: UInt8
    /// What all gateways hold: the key of challenges, and of what they pass on, is derived from it.
    public var secret: SecretKey?
    /// While that is replaced: what is made is made under the first, and what others made under this one is taken, too.
    public var secondSecret: SecretKey?
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

    public init(
        gatewayNumber: UInt8, secret: SecretKey? = nil, secondSecret: SecretKey? = nil,
        forwarding: Forwarding? = nil
    ) {
        self.gatewayNumber = gatewayNumber
        self.secret = secret
        self.secondSecret = secondSecret
        self.forwarding = forwarding
    }

    func check() throws {
        func refuse(_ reason: String) throws { throw OuroborosError(.invalidConfiguration, reason) }
        if gatewayNumber == 0 {
            try refuse("a gateway's number is 1 to 255, not 0")
        }
        if secret == nil, secondSecret != nil {
            try refuse("the second fleet secret is beside a first one")
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
