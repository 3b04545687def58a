import Ouroboros
import OuroborosText

/// A message that came, as one JSON line.
package enum MessageLine {
    package static func line(for message: Message, of device: DeviceID, receivedAt: Int64) -> [UInt8] {
        var line = JSONLine()
        add(
            to: &line, receivedAt, device, message.sessionID, message.counter, message.position,
            message.payload)
        return line.finished() + [UInt8(ascii: "\n")]
    }

    package static func line(for message: SpooledMessage) -> [UInt8] {
        var line = JSONLine()
        add(to: &line, message)
        return line.finished() + [UInt8(ascii: "\n")]
    }

    package static func line(for letter: DeadLetter) -> [UInt8] {
        var line = JSONLine()
        line.add("sink", letter.sink)
        line.add("refused", WallClock.string(milliseconds: letter.refusedAt))
        line.add("reason", letter.reason)
        line.add("retries", letter.retries)
        add(to: &line, letter.message)
        return line.finished() + [UInt8(ascii: "\n")]
    }

    package static func line(for entry: Outbox.Entry) -> [UInt8] {
        var line = JSONLine()
        line.add("queued", WallClock.string(seconds: entry.queuedAt))
        line.add("box", entry.position.box)
        line.add("seq", entry.position.sequence)
        add(entry.payload, to: &line)
        return line.finished() + [UInt8(ascii: "\n")]
    }

    private static func add(to line: inout JSONLine, _ message: SpooledMessage) {
        line.add("id", message.id)
        add(
            to: &line, message.receivedAt, message.device, message.sessionID, message.counter,
            message.position, message.payload)
    }

    private static func add(
        to line: inout JSONLine, _ time: Int64, _ device: DeviceID, _ session: UInt32, _ counter: UInt64,
        _ position: OutboxPosition?, _ payload: [UInt8]
    ) {
        line.add("time", WallClock.string(milliseconds: time))
        line.add("device", device.description)
        line.add("session", session)
        line.add("counter", counter)
        if let position {
            line.add("box", position.box)
            line.add("seq", position.sequence)
        }
        add(payload, to: &line)
    }

    private static func add(_ payload: [UInt8], to line: inout JSONLine) {
        if let text = String(validating: payload, as: UTF8.self) {
            line.add("text", text)
        } else {
            line.add("base64", Base64.string(of: payload))
        }
    }
}
