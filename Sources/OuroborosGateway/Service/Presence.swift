import LibC
import Ouroboros
import OuroborosSinks

/// When a device was heard here, and how often it usually is: so long silence tells nothing.
final class Presence: Sendable {
    private let sleepingAfter: Duration
    private let offlineAfter: Duration
    private let rhythms = Locked<[DeviceID: Rhythm]>([:])

    /// Tells that a device was heard that had been silent, or never heard; for one reader.
    let returns: AsyncStream<Void>
    private let returned: AsyncStream<Void>.Continuation

    private static let mostDevices = 200_000

    /// `offlineAfter` is for those whose rhythm is not known.
    init(sleepingAfter: Duration, offlineAfter: Duration) {
        self.sleepingAfter = sleepingAfter
        self.offlineAfter = max(offlineAfter, sleepingAfter)
        (returns, returned) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    }

    /// How late it may be noticed that a device is silent.
    var lookPeriod: Duration { max(.seconds(1), min(sleepingAfter / 12, .seconds(10))) }

    func heard(_ devices: Set<DeviceID>, at now: ContinuousClock.Instant = .now) {
        let isNews = rhythms.withLock { rhythms in
            var isNews = false
            for device in devices where rhythms[device] != nil || rhythms.count < Self.mostDevices {
                isNews = isNews || rhythms[device]?.last.map { now - $0 >= sleepingAfter } ?? true
                rhythms[device, default: Rhythm()].heard(at: now)
            }
            return isNews
        }
        if isNews { returned.yield() }
    }

    /// The silence after which its readings are of the past; nil when its rhythm is not known.
    func expiry(of device: DeviceID) -> Duration? {
        rhythms.withLock { $0[device]?.interval }.map { max(sleepingAfter, $0 * Rhythm.missed) }
    }

    func status(of device: DeviceID, silence: Duration, hasSession: Bool) -> DeviceStatus {
        if hasSession, silence < sleepingAfter { return .online }
        return silence < expiry(of: device) ?? offlineAfter ? .sleeping : .offline
    }

    /// The devices that were heard here, and how long ago.
    func silences(at now: ContinuousClock.Instant = .now) -> [DeviceID: Duration] {
        rhythms.withLock { $0.compactMapValues { rhythm in rhythm.last.map { now - $0 } } }
    }

    func forget(_ device: DeviceID) {
        rhythms.withLock { $0[device] = nil }
    }
}

/// The times between a device's last messages.
struct Rhythm {
    /// So many in a row are not missed by chance.
    static let missed = 3
    private static let kept = 8
    /// Messages that follow closer than a tenth of the longest time belong together.
    private static let together = 10

    private(set) var last: ContinuousClock.Instant?
    private var gaps: [Duration] = []

    mutating func heard(at now: ContinuousClock.Instant) {
        if let last {
            gaps = (gaps + [now - last]).suffix(Self.kept)
        }
        last = now
    }

    /// The time between two messages; nil when they come at no times of their own, or too few have come.
    var interval: Duration? {
        // One may be an outage.
        let usual = gaps.sorted().prefix(gaps.count > 2 ? gaps.count - 1 : gaps.count)
        guard let longest = usual.last else { return nil }
        let apart = usual.filter { $0 * Self.together >= longest }
        guard apart.count >= 2, let least = apart.first, let most = apart.last, most <= least * 2 else {
            return nil
        }
        return most
    }
}
