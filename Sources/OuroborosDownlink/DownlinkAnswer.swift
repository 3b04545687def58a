import Ouroboros
import OuroborosStore
import OuroborosText

/// What those who send to devices are answered, as a JSON object.
package enum DownlinkAnswer {
    /// A message under way is *queued* as well: its fate is not known.
    package static func state(of entry: DownlinkEntry) -> DownlinkState {
        entry.state == .sending ? .queued : entry.state
    }

    package static func body(for entry: DownlinkEntry) -> [UInt8] {
        var line = JSONLine()
        line.add("id", entry.id)
        line.add("device", entry.device.description)
        line.add("state", state(of: entry).rawValue)
        if let reason = entry.reason {
            line.add("reason", reason)
        }
        line.add("queued", WallClock.string(milliseconds: entry.queuedAt))
        line.add("expires", WallClock.string(milliseconds: entry.expiresAt))
        return line.finished()
    }

    /// A message that was not taken: it failed, unless nobody knows whether it was.
    package static func refusal(_ reason: String, state: DownlinkState = .failed) -> [UInt8] {
        var line = JSONLine()
        line.add("state", state.rawValue)
        line.add("reason", reason)
        return line.finished()
    }

    package static func refusal(_ error: any Error) -> [UInt8] {
        guard let error = error as? OuroborosError else { return refusal("\(error)") }
        return refusal(error.message, state: error.code == .unknown ? .unknown : .failed)
    }

    package static func unknown(_ device: DeviceID) -> String {
        "device \(device) is not known here: add it to the gateway's store first"
    }
}
