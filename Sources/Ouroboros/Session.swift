internal import COuroboros

/// What a handshake makes, without a link: it seals messages and opens packets, and how these travel is the caller's.
///
/// ``ClientHandshake`` and ``ServerHandshake`` give it. It has no clock, sends nothing again and acknowledges nothing:
/// it is for carriers that are reliable by themselves, or whose users take a loss. Each packet is sealed under keys of
/// its own; there is one of each session, and it cannot be copied. Like ``Link`` it belongs to one thread at a time.
///
/// Where ``Configuration/reach`` or more messages in a row are lost, all that follow are ``DropReason/ahead`` at the other
/// side, whatever comes through, until there is a new session: have it say something within each so many, and make a new
/// handshake where it does not.
public final class Session {
    public struct Configuration: Sendable, Hashable {
        /// How far packets may overtake each other; one fewer may be lost in a row, and after more than that nothing opens
        /// any more. 4 to 64.
        public var reach = 32
        /// The largest message that this side takes: 64 to 1200.
        public var maxBody = Int(OURO_MAX_BODY)
        /// The carrier loses, doubles and reorders nothing, and is over where something is wrong.
        public var isStream = false
        /// A server's: how many epochs a HELLO may be ahead, 1 to 1024, at the cost of one derivation each. One is
        /// enough as long as its credentials are not restored from an older copy.
        public var epochsAhead = 1

        public init() {}

        /// The same over a stream.
        public var overStream: Configuration {
            var configuration = self
            configuration.isStream = true
            return configuration
        }

        func check() throws(OuroborosError) {
            try LinkConfiguration.checkTerms(reach: reach, maxBody: maxBody)
            try LinkConfiguration.check(epochsAhead, in: 1...Int(OURO_EPOCHS_AHEAD), "epochsAhead")
        }
    }

    /// What was in a packet.
    public enum Opened: Sendable, Hashable {
        /// One message, or those of a batch.
        case messages([Message])
        /// The other side asked whether somebody is there: to be sent to it.
        case answer([UInt8])
        /// It acknowledges, which means nothing here.
        case control
        /// The other side has sealed its last packet; `missing` messages of its did not come, or not yet.
        case closed(reason: CloseReason, missing: UInt64)
        /// Hostile, late or repeated: nothing is to be done. Over a stream the session is over with it.
        case dropped(DropReason)
    }

    /// Section 3.4: what a client may send before it was answered, and what a server takes before it knows the client.
    static let unconfirmedReach: UInt32 = 4
    /// Section 6.9.
    static let renewalCounter = UInt64(1) << 32 - UInt64(1) << 20

    public let id: UInt32
    /// The largest message that can be sealed: what the other side takes.
    public let maximumMessage: Int
    let raw: UnsafeMutablePointer<ouro_session>
    private let block: UnsafeMutableRawBufferPointer
    private let packet: UnsafeMutablePointer<UInt8>
    private let role: ouro_role
    private let configuration: Configuration
    /// Something of the other side was authentic.
    private(set) var isConfirmed = false
    /// Its keys are erased.
    private(set) var isOver = false
    private var peerReason: CloseReason?

    /// `hello` and `welcome` are whole packets, and verified; `credential` is of their epoch.
    init(
        _ role: ouro_role, _ credential: Credential, hello: [UInt8], welcome: [UInt8],
        configuration: Configuration
    ) throws(OuroborosError) {
        let head = MemoryLayout<ouro_session>.stride
        let slots = configuration.isStream ? 0 : 2 * configuration.reach * MemoryLayout<ouro_slot>.stride
        let memory = UnsafeMutableRawPointer.allocate(
            byteCount: head + slots + Packet.maximumSize, alignment: 16)
        block = UnsafeMutableRawBufferPointer(start: memory, count: head + slots + Packet.maximumSize)
        block.initializeMemory(as: UInt8.self, repeating: 0)
        let session = memory.bindMemory(to: ouro_session.self, capacity: 1)
        let slot =
            slots == 0
            ? nil : (memory + head).bindMemory(to: ouro_slot.self, capacity: 2 * configuration.reach)
        let status = credential.withEngineForm {
            ouro_handshake_session(
                session, role, $0, hello, hello.count, welcome, slot, UInt8(configuration.reach))
        }
        raw = session
        packet = (memory + head + slots).bindMemory(to: UInt8.self, capacity: Packet.maximumSize)
        id = session.pointee.tail.id
        maximumMessage = Int(session.pointee.tail.peer_max_body)
        self.role = role
        self.configuration = configuration
        try OuroborosError.check(status, "making a session")
    }

    deinit {
        ouro_erase(block.baseAddress, block.count)
        block.deallocate()
    }

    // MARK: Sealing

    /// The packet of a message. It is made once: who sends it again sends the same bytes.
    public func seal(_ message: [UInt8]) throws(OuroborosError) -> [UInt8] {
        try seal(message, flags: 0)
    }

    /// The packet of several messages.
    public func seal(_ batch: Batch) throws(OuroborosError) -> [UInt8] {
        guard !batch.isEmpty else {
            throw OuroborosError(.wrongState, "a batch without a message cannot be sealed: append one first")
        }
        return try seal(batch.bytes, flags: UInt8(OURO_FLAG_BATCH))
    }

    private func seal(_ body: [UInt8], flags: UInt8) throws(OuroborosError) -> [UInt8] {
        guard !isClosed else { throw closed }
        guard body.count <= maximumMessage else { throw .tooLarge(body.count, limit: maximumMessage) }
        guard role == OURO_SERVER || isConfirmed || raw.pointee.tail.tx_next < Self.unconfirmedReach else {
            throw OuroborosError(
                .wrongState,
                "a client seals \(Self.unconfirmedReach) messages before it has opened a packet of its server: "
                    + "wait for one")
        }
        return try protect(OURO_DATA, flags: flags, body)
    }

    private func protect(_ type: ouro_type, flags: UInt8 = 0, _ body: [UInt8]) throws(OuroborosError)
        -> [UInt8]
    {
        defer { ouro_erase(packet, Packet.maximumSize) }
        UnsafeMutableRawBufferPointer(start: packet + Int(OURO_HEADER_SIZE), count: body.count).copyBytes(
            from: body)
        var counter: UInt64 = 0
        let status = ouro_session_protect(
            raw, UInt8(type.rawValue), flags, packet, body.count, &counter)
        if status == OURO_END_LIMIT {
            throw OuroborosError(.closed, "the session has used all its counters: make a new one")
        }
        try OuroborosError.check(status, "sealing a packet")
        return Array(UnsafeBufferPointer(start: packet, count: Int(OURO_OVERHEAD) + body.count))
    }

    /// The last packet, which tells the other side how many messages there were; the session is over with it.
    ///
    /// After ``Opened/closed(reason:missing:)`` it is the answer, and has the reason of what it answers.
    public func close(reason: CloseReason = .normal) throws(OuroborosError) -> [UInt8] {
        guard !isOver else { throw closed }
        let sent = UInt64(raw.pointee.tail.tx_next)
        let body = [(peerReason ?? reason).rawValue] + withUnsafeBytes(of: sent.bigEndian) { Array($0) }
        let last = try protect(OURO_CLOSE, body)
        end()
        return last
    }

    /// Nothing can be sealed any more.
    public var isClosed: Bool { isOver || peerReason != nil }

    /// Its counters are running out: a client is to make a new session. It is to do so once a day, too.
    public var isToBeReplaced: Bool {
        max(
            UInt64(raw.pointee.tail.tx_next), raw.pointee.window.next, raw.pointee.tail.tx_control_next,
            raw.pointee.tail.rx_control_next) >= Self.renewalCounter
    }

    // MARK: Opening

    /// Opens a packet. It throws only when the session is over or the engine fails; what is wrong with a packet is told
    /// by ``Opened/dropped(_:)``.
    public func open(_ received: [UInt8]) throws(OuroborosError) -> Opened {
        guard !isOver else { throw closed }
        defer { ouro_erase(packet, Packet.maximumSize) }
        var header = ouro_header()
        var body = ouro_body()
        let status = unprotect(received, &header, &body)
        if status == OURO_OK || status == OURO_DROP_NONSENSE {
            isConfirmed = true
        }
        if configuration.isStream, status != OURO_OK {
            end()
        }
        if let reason = DropReason(status) {
            return .dropped(reason)
        }
        try OuroborosError.check(status, "opening a packet")
        return try take(header, body)
    }

    private func unprotect(
        _ received: [UInt8], _ header: inout ouro_header, _ body: inout ouro_body
    ) -> ouro_status {
        guard received.count <= Packet.maximumSize else { return OURO_DROP_MALFORMED }
        UnsafeMutableRawBufferPointer(start: packet, count: received.count).copyBytes(from: received)
        let status = ouro_packet_decode(packet, received.count, configuration.maxBody, &header)
        guard status == OURO_OK else { return status }
        switch ouro_type(rawValue: UInt32(header.type)) {
        case OURO_HELLO, OURO_WELCOME:
            return OURO_DROP_HANDSHAKE
        case OURO_DATA:
            if role == OURO_SERVER, !isConfirmed, header.counter >= UInt64(Self.unconfirmedReach) {
                return OURO_DROP_AHEAD
            }
            return ouro_session_open(raw, &header, packet, &body)
        default:
            // A stream has no NACK, and brings counters in order without a gap.
            if configuration.isStream,
                header.type == UInt8(OURO_NACK.rawValue) || header.counter != raw.pointee.tail.rx_control_next
            {
                return OURO_DROP_REPLAY
            }
            return ouro_tail_open(tail, &header, packet, &body)
        }
    }

    /// The engine finds the session behind its tail, which is its first member: no copy will do.
    private var tail: UnsafeMutablePointer<ouro_tail> {
        UnsafeMutableRawPointer(raw).assumingMemoryBound(to: ouro_tail.self)
    }

    private func take(_ header: ouro_header, _ body: ouro_body) throws(OuroborosError) -> Opened {
        switch ouro_type(rawValue: UInt32(header.type)) {
        case OURO_DATA:
            return .messages(messages(header, body))
        case OURO_PING:
            return try pong(Array(UnsafeBufferPointer(start: body.data, count: body.len)))
        case OURO_CLOSE:
            let reason = CloseReason(rawValue: body.reason) ?? .normal
            peerReason = reason
            let came = UInt64(raw.pointee.window.received)
            return .closed(reason: reason, missing: body.sent > came ? body.sent - came : 0)
        default:
            return .control
        }
    }

    /// A PING whose PONG would not fit its sender with an ack block gets none, and near their end control counters are
    /// kept for CLOSE (sections 2.4 and 6.9).
    private func pong(_ bytes: [UInt8]) throws(OuroborosError) -> Opened {
        guard bytes.count + Int(OURO_ACK_BLOCK_SIZE) <= maximumMessage else { return .control }
        do throws(OuroborosError) {
            return .answer(try protect(OURO_PONG, bytes))
        } catch  where error.code == .closed {
            return .control
        }
    }

    private func messages(_ header: ouro_header, _ body: ouro_body) -> [Message] {
        let position = body.once ? OutboxPosition(box: body.box, sequence: body.seq) : nil
        var payloads: [[UInt8]] = []
        if header.flags & UInt8(OURO_FLAG_BATCH) == 0 {
            payloads.append(Array(UnsafeBufferPointer(start: body.data, count: body.len)))
        } else {
            var offset = 0
            var item: UnsafePointer<UInt8>?
            var length = 0
            while ouro_batch_next(body.data, body.len, &offset, &item, &length) {
                payloads.append(Array(UnsafeBufferPointer(start: item, count: length)))
            }
        }
        return payloads.indices.map { index in
            Message(
                sessionID: id, counter: header.counter, payload: payloads[index], position: position,
                isLastOfPacket: index == payloads.count - 1)
        }
    }

    // MARK: The end

    private func end() {
        ouro_session_erase(raw)
        isOver = true
    }

    private var closed: OuroborosError {
        OuroborosError(.closed, "the session is over: make a new one")
    }
}
