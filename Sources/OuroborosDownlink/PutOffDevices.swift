import Ouroboros

/// Devices that are awake and could be given nothing: they are tried again in a moment.
struct PutOffDevices {
    private var devices: Set<DeviceID> = []
    /// When they are tried again.
    private(set) var due: ContinuousClock.Instant?

    private static let pause = Duration.seconds(1)

    /// True for the first of them.
    mutating func add(_ device: DeviceID, at now: ContinuousClock.Instant) -> Bool {
        devices.insert(device)
        guard due == nil else { return false }
        due = now + Self.pause
        return true
    }

    mutating func take(at now: ContinuousClock.Instant) -> Set<DeviceID> {
        guard let due, due <= now else { return [] }
        defer { self = PutOffDevices() }
        return devices
    }
}
