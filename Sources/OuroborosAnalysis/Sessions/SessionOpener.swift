internal import COuroboros
import Ouroboros

/// What an opened body holds.
public struct OpenedBody: Sendable, Hashable {
    public struct AckBlock: Sendable, Hashable {
        public let highest: UInt64
        public let bitmap: UInt64
    }

    public let acks: AckBlock?
    /// Box and sequence number of a message that is handed on once.
    public let once: (box: UInt32, sequence: UInt32)?
    /// The message, the items of a batch, or a control packet's own bytes.
    public let contents: [[UInt8]]
    /// Of a NACK or CLOSE.
    public let reason: UInt8?
    /// Of a CLOSE: the closer's next message counter.
    public let sent: UInt64?

    init(_ body: ouro_body, _ header: PacketHeader) {
        acks = body.has_acks ? AckBlock(highest: body.acks.highest, bitmap: body.acks.bitmap) : nil
        once = body.once ? (body.box, body.seq) : nil
        reason = header.type == .nack || header.type == .close ? body.reason : nil
        sent = header.type == .close ? body.sent : nil
        guard header.flags.contains(.batch) else {
            let hasContents = header.type == .data || header.type == .ping || header.type == .pong
            contents = hasContents ? [Array(UnsafeBufferPointer(start: body.data, count: body.len))] : []
            return
        }
        var items: [[UInt8]] = []
        var offset = 0
        var item: UnsafePointer<UInt8>?
        var count = 0
        while ouro_batch_next(body.data, body.len, &offset, &item, &count) {
            items.append(Array(UnsafeBufferPointer(start: item, count: count)))
        }
        contents = items
    }

    public static func == (left: OpenedBody, right: OpenedBody) -> Bool {
        left.acks == right.acks && left.once?.box == right.once?.box
            && left.once?.sequence == right.once?.sequence && left.contents == right.contents
            && left.reason == right.reason && left.sent == right.sent
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(contents)
    }
}

/// Both receivers of a session, to open what a capture holds of it.
final class SessionOpener {
    enum Result {
        case opened(OpenedBody)
        /// Authentic, but its body does not parse.
        case senseless
        case dropped(ouro_status)
    }

    private let up: Receiver
    private let down: Receiver

    init(_ keys: SessionKeys, isStream: Bool) throws {
        up = try Receiver(OURO_SERVER, keys, isStream: isStream)
        down = try Receiver(OURO_CLIENT, keys, isStream: isStream)
    }

    func open(_ packet: [UInt8], _ header: PacketHeader, isUp: Bool) -> Result {
        (isUp ? up : down).open(packet, header)
    }
}

/// The receiver of one direction. Beyond what a real one does it follows over holes in the capture.
private final class Receiver {
    private let session: UnsafeMutablePointer<ouro_session>
    private let slots: UnsafeMutableBufferPointer<ouro_slot>
    private let isStream: Bool
    /// Derivations that may still be spent in vain on counters far ahead.
    private var budget = 1 << 17

    private static let longestJump: UInt64 = 1 << 14
    private static let reach = UInt8(OURO_MAX_REACH)

    init(_ role: ouro_role, _ keys: SessionKeys, isStream: Bool) throws {
        self.isStream = isStream
        session = .allocate(capacity: 1)
        session.initialize(to: ouro_session())
        slots = .allocate(capacity: 2 * Int(Self.reach))
        slots.initialize(repeating: ouro_slot())
        let (session, slots) = (session, slots)
        try EngineStatus.check(
            keys.clientToServer.withUnsafeBytes { up in
                keys.serverToClient.withUnsafeBytes { down in
                    ouro_session_init(
                        session, role, keys.sessionID, up.octets, down.octets,
                        isStream ? nil : slots.baseAddress, Self.reach)
                }
            }, "making a session")
        // The other direction's packets may be missing from the capture: any of its counters may be acknowledged.
        session.pointee.tail.tx_next = .max
    }

    deinit {
        ouro_session_erase(session)
        ouro_erase(slots.baseAddress, slots.count * MemoryLayout<ouro_slot>.stride)
        session.deallocate()
        slots.deallocate()
    }

    func open(_ packet: [UInt8], _ header: PacketHeader) -> SessionOpener.Result {
        let result = open(packet, header, session)
        guard case .dropped(let status) = result, header.type == .data else { return result }
        return status == OURO_DROP_AHEAD ? jump(packet, header) : result
    }

    private func open(
        _ packet: [UInt8], _ header: PacketHeader, _ session: UnsafeMutablePointer<ouro_session>
    ) -> SessionOpener.Result {
        var packet = packet
        var form = header.engineForm
        return packet.withUnsafeMutableBufferPointer { bytes in
            var body = ouro_body()
            let status =
                header.type == .data
                ? ouro_session_open(session, &form, bytes.baseAddress, &body)
                : ouro_tail_open(&session.pointee.tail, &form, bytes.baseAddress, &body)
            defer { ouro_erase(bytes.baseAddress, bytes.count) }
            switch status {
            case OURO_OK: return .opened(OpenedBody(body, header))
            case OURO_DROP_NONSENSE: return .senseless
            default: return .dropped(status)
            }
        }
    }

    /// Tries on a copy: only an authentic packet moves the session that far.
    private func jump(_ packet: [UInt8], _ header: PacketHeader) -> SessionOpener.Result {
        let steps = header.counter - min(header.counter, session.pointee.window.keyed)
        guard steps <= Self.longestJump, steps <= budget else { return .dropped(OURO_DROP_AHEAD) }
        let copy = UnsafeMutableBufferPointer<ouro_slot>.allocate(capacity: slots.count)
        _ = copy.initialize(from: slots)
        var trial = session.pointee
        defer {
            ouro_erase(copy.baseAddress, copy.count * MemoryLayout<ouro_slot>.stride)
            ouro_erase(&trial, MemoryLayout<ouro_session>.size)
            copy.deallocate()
        }
        trial.window.slots = copy.baseAddress
        trial.window.next = header.counter
        let result = withUnsafeMutablePointer(to: &trial) { open(packet, header, $0) }
        if case .dropped = result {
            budget -= Int(steps)
            return result
        }
        _ = slots.update(from: copy)
        trial.window.slots = slots.baseAddress
        session.pointee = trial
        return result
    }
}
