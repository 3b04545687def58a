import Ouroboros
import OuroborosNIO
import OuroborosStore

/// What the configuration says of the gateway's fleet, before files are read and names are looked up.
struct FleetSettings: Sendable {
    let number: UInt8
    /// One, or two while the secret is replaced.
    let secrets: [SecretSource]
    let forwardBind: HostAndPort?
    let peers: [UInt8: HostAndPort]

    /// Nil for a gateway that stands alone.
    init?(_ setting: (GatewayKey) -> GatewaySources.Setting) throws {
        secrets =
            try setting(.fleetSecretFile).names().map { try .given(file: $0) }
            + setting(.fleetSecretEnv).names().map { .variable($0) }
        guard secrets.count <= 2 else { throw setting(.fleetSecretFile).tooMany }
        forwardBind = try setting(.forwardBind).address()
        peers = try setting(.peer).peers()
        guard setting(.gatewayNumber).value != nil else {
            guard secrets.isEmpty, forwardBind == nil, peers.isEmpty else {
                throw OuroborosError(
                    .invalidConfiguration,
                    "a gateway of a fleet has a number: give --gateway-number, 1 to 255")
            }
            return nil
        }
        number = UInt8(try setting(.gatewayNumber).number(1...255))
        guard (forwardBind == nil) == peers.isEmpty else {
            throw OuroborosError(
                .invalidConfiguration,
                "--forward-bind and --peer go together: where packets come in, and where they are passed on to"
            )
        }
        guard forwardBind == nil || !secrets.isEmpty else {
            throw OuroborosError(
                .invalidConfiguration,
                "gateways that pass packets on need the fleet secret: give --fleet-secret-file")
        }
    }

    func configuration() async throws -> FleetConfiguration {
        let keys = try secrets.map { try $0.key() }
        if keys.count == 2, keys[0] == keys[1] {
            throw OuroborosError(
                .invalidConfiguration,
                "\(secrets[0].name) and \(secrets[1].name) hold the same secret: give the one that replaces it, or one file"
            )
        }
        var fleet = FleetConfiguration(
            gatewayNumber: number, secret: keys.first, secondSecret: keys.dropFirst().first)
        if let forwardBind {
            var forwarding: FleetConfiguration.Forwarding = .init(
                address: try await forwardBind.resolve(), peers: [:])
            for (number, peer) in peers {
                forwarding.peers[number] = try await peer.resolve()
            }
            fleet.forwarding = forwarding
        }
        return fleet
    }
}

extension GatewaySources.Setting {
    fileprivate var tooMany: OuroborosError {
        refused("write one path, or two while the secret is replaced, the first of them in use")
    }

    fileprivate func names() throws -> [String] {
        guard let value = try text() else { return [] }
        let files = value.split(separator: ",", omittingEmptySubsequences: false).map {
            String($0.drop { $0 == " " })
        }
        guard files.count <= 2, !files.contains("") else {
            throw tooMany
        }
        return files
    }

    fileprivate func peers() throws -> [UInt8: HostAndPort] {
        guard let value else { return [:] }
        var peers: [UInt8: HostAndPort] = [:]
        for text in value.split(separator: ",") {
            let parts = text.split(separator: "=", maxSplits: 1).map { String($0.drop { $0 == " " }) }
            guard parts.count == 2, let number = UInt8(parts[0]), number > 0,
                let peer = try? HostAndPort(parsing: parts[1]),
                peers.updateValue(peer, forKey: number) == nil
            else {
                throw refused("write NUMBER=HOST:PORT, each number from 1 to 255 once; several with commas")
            }
        }
        return peers
    }
}
