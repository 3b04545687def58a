internal import COuroboros

/// What makes the challenges of a fleet's gateways hold at each of them: their key comes from the fleet secret,
/// and they are counted in slices of wall time.
///
/// A challenge holds for 60 to 120 s at a gateway whose clock is the same. Where the clock is behind by d seconds, d
/// of 60 are challenged once more, which costs them a round trip.
public struct SharedChallenges: Sendable {
    private let fleetSecret: SecretKey
    private let secondSecret: SecretKey?
    let wallClock: @Sendable () -> UInt64

    /// `wallClock` gives milliseconds since 1970. While the fleet's secret is replaced there is a second one: challenges are
    /// made under the first, and hold under either.
    public init(
        fleetSecret: SecretKey, secondSecret: SecretKey? = nil, wallClock: @escaping @Sendable () -> UInt64
    ) {
        self.fleetSecret = fleetSecret
        self.secondSecret = secondSecret
        self.wallClock = wallClock
    }

    func key() throws(OuroborosError) -> SecretKey { try Self.key(of: fleetSecret) }

    func secondKey() throws(OuroborosError) -> SecretKey? {
        guard let secondSecret else { return nil }
        return try Self.key(of: secondSecret)
    }

    private static func key(of fleetSecret: SecretKey) throws(OuroborosError) -> SecretKey {
        var status = OURO_OK
        let key = SecretKey { key in
            status = fleetSecret.withUnsafeBytes { ouro_fleet_challenge_key($0.octets, key.octets) }
        }
        try OuroborosError.check(status, "deriving the key of challenges")
        return key
    }
}
