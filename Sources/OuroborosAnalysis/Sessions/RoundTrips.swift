/// Round trips as the place of the capture sees them: from there to the answering side and back.
public struct RoundTrips: Sendable, Hashable {
    public private(set) var count: UInt64 = 0
    public private(set) var least: UInt64 = 0
    public private(set) var most: UInt64 = 0
    private var sum: UInt64 = 0

    /// Microseconds; longer than an hour is no round trip.
    mutating func add(_ time: UInt64) {
        guard time < 3_600_000_000 else { return }
        least = count == 0 ? time : min(least, time)
        most = max(most, time)
        count += 1
        sum += time
    }

    public var average: UInt64 { count == 0 ? 0 : sum / count }
}
