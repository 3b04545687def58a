import LibC
import Logging
import Ouroboros
import OuroborosNIO

/// Tells in the log when an outbox was copied, once a minute at most for each device.
final class OutboxWatch: Sendable {
    private let state = Locked((outboxes: CopiedOutboxes(), telling: Telling<DeviceID>()))
    private let logger: Logger

    init(_ logger: Logger) {
        self.logger = logger
    }

    func look(at messages: [ReceivedMessage], isNew: [Bool]) {
        let copied = state.withLock { state in
            state.outboxes.note(messages, isNew: isNew).filter { state.telling.isDue($0) }
        }
        for device in copied {
            logger.error(
                """
                other messages come with the positions of an outbox that came before, and are not stored: two devices \
                have a copy of one outbox, or it was restored from one; give the copy a new outbox, and an id and a key \
                of its own
                """, metadata: ["device": "\(device)"])
        }
    }
}

/// Notices when two devices send from copies of one outbox: what the second sends has positions that came before, so it
/// is acknowledged and not handed on.
///
/// It knows what came since the gateway started, and judges by that alone.
struct CopiedOutboxes {
    private struct Box: Hashable {
        let device: DeviceID
        let number: UInt32
    }

    /// Hashes of the last messages: that of `highest` is at its remainder.
    private struct Came {
        var highest: UInt32
        var hashes: [UInt32?]
    }

    /// As far as an outbox runs ahead of what was acknowledged (PROTOCOL.md, section 6, "Once, across sessions").
    private static let window: UInt32 = 64
    private static let mostBoxes = 50_000

    private var boxes: [Box: Came] = [:]

    /// The devices of which a repeat is none: it has another message, or one that the outbox was told of long ago.
    mutating func note(_ messages: [ReceivedMessage], isNew: [Bool]) -> Set<DeviceID> {
        var copied: Set<DeviceID> = []
        var first = messages.startIndex
        while first < messages.endIndex {
            var end = first + 1
            while end < messages.endIndex, messages[end].isOfPacket(of: messages[first]) { end += 1 }
            if let position = messages[first].message.position {
                let box = Box(device: messages[first].device, number: position.box)
                let hash = Self.hash(of: messages[first..<end])
                if isNew[first] {
                    put(hash, at: position.sequence, in: box)
                } else if isAnother(hash, at: position.sequence, in: box) {
                    copied.insert(box.device)
                }
            }
            first = end
        }
        return copied
    }

    private mutating func put(_ hash: UInt32, at sequence: UInt32, in box: Box) {
        if boxes[box] == nil {
            guard boxes.count < Self.mostBoxes else { return }
            boxes[box] = Came(highest: sequence, hashes: Array(repeating: nil, count: Int(Self.window)))
        }
        if let highest = boxes[box]?.highest, sequence > highest {
            for skipped in (highest + 1...sequence).suffix(Int(Self.window)) {
                boxes[box]?.hashes[Int(skipped % Self.window)] = nil
            }
            boxes[box]?.highest = sequence
        }
        boxes[box]?.hashes[Int(sequence % Self.window)] = hash
    }

    private func isAnother(_ hash: UInt32, at sequence: UInt32, in box: Box) -> Bool {
        guard let came = boxes[box], sequence <= came.highest else { return false }
        let distance = came.highest - sequence
        guard distance < Self.window else { return distance > Self.window }
        return came.hashes[Int(sequence % Self.window)].map { $0 != hash } ?? false
    }

    private static func hash(of messages: ArraySlice<ReceivedMessage>) -> UInt32 {
        var hasher = Hasher()
        for message in messages { hasher.combine(message.payload) }
        return UInt32(truncatingIfNeeded: hasher.finalize())
    }
}

extension ReceivedMessage {
    fileprivate func isOfPacket(of other: ReceivedMessage) -> Bool {
        device == other.device && message.sessionID == other.message.sessionID
            && message.counter == other.message.counter
    }
}
