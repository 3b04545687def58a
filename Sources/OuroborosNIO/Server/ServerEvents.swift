import Ouroboros

/// What becomes of a server's devices.
public enum ServerEvent: Sendable, Hashable {
    case connected(DeviceID, sessionID: UInt32)
    /// The device was not heard from for the give-up time; its session stays.
    case silent(DeviceID)
    case heardAgain(DeviceID)
    /// A session ended; `missing` messages of the device never came.
    case closed(DeviceID, CloseReason, byDevice: Bool, missing: UInt64)
    /// A message to the device does not get through, though others do: it is probably larger than the path carries.
    /// Told once; the outcome of its sending follows.
    case stalled(DeviceID, size: Int)
    /// Nothing is left of it.
    case disconnected(DeviceID)
}
