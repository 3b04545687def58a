internal import COuroboros

/// What makes the challenges of a fleet's gateways hold at each of them: their key comes from the fleet secret,
/// and they are counted in slices of wall time.
///
/// A challenge holds for 10 to 20 s at a gateway whose clock is the same. Where the clock is behind by d seconds, d
/// of 10 are challenged once more, which costs them a round trip.
public struct SharedChallenges: Sendable {
    private let fleetSecret: SecretKey
    let wallClock: @Sendable () -> UInt64

    /// `wallClock` gives milliseconds since 1970.
    public init(fleetSecret: SecretKey, wallClock: @escaping @Sendable () -> UInt64) {
        self.fleetSecret = fleetSecret
        self.wallClock = wallClock
    }

    func key() throws(OuroborosError) -> SecretKey {
        var status = OURO_OK
        let key = SecretKey { key in
            status = fleetSecret.withUnsafeBytes { ouro_fleet_challenge_key($0.octets, key.octets) }
        }
        try OuroborosError.check(status, "deriving the key of challenges")
        return key
    }
}
