import Ouroboros

/// What is under way to which device. A place is taken until the device answers, so that those that may not answer must
/// leave some to those that do.
struct PlacesUnderWay {
    private var counts: [DeviceID: Int] = [:]
    private var total = 0
    private let half: Int

    private static let most = 8
    private static let mostWhenScarce = 2
    /// Who was heard within this time most likely is there.
    private static let justHeard = Duration.seconds(5)

    /// Of so many places.
    init(places: Int) {
        half = max(1, places / 2)
    }

    /// How many messages more may be taken for a device that was heard so long ago.
    func room(for device: DeviceID, silentFor silence: Duration) -> Int {
        let isHeard = silence < Self.justHeard
        let most =
            switch (isHeard, total >= half) {
            case (true, false): Self.most
            case (true, true): Self.mostWhenScarce
            case (false, false): 1
            case (false, true): 0
            }
        return max(0, most - counts[device, default: 0])
    }

    func has(_ device: DeviceID) -> Bool { counts[device] != nil }

    mutating func began(_ count: Int, for device: DeviceID) {
        guard count > 0 else { return }
        counts[device, default: 0] += count
        total += count
    }

    mutating func ended(for device: DeviceID) {
        guard let count = counts[device] else { return }
        counts[device] = count > 1 ? count - 1 : nil
        total -= 1
    }
}
