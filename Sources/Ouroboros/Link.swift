internal import COuroboros

/// All that one side keeps of one peer: the Swift face of the engine's link.
///
/// It does no input or output. Packets, the time and messages go in; packets, events and the next deadline
/// come out. It is not `Sendable`: one thread, or one event loop, owns it. Times are milliseconds that never
/// run backwards.
public final class Link {
    let raw: UnsafeMutablePointer<ouro_link>
    private let memory: LinkMemory
    private let pool: PlacePool
    private let scratch: UnsafeMutablePointer<UInt8>
    private let tap: PacketTap?
    /// What is handed on once the epoch is saved lies there.
    private var kept: KeptPacket?
    private var isSaving = false

    private init(
        _ configuration: LinkConfiguration, role: ouro_role, pool: PlacePool, credential: Credential?
    ) throws(OuroborosError) {
        try configuration.check(isServer: role == OURO_SERVER)
        self.pool = pool
        tap = configuration.tap
        memory = LinkMemory(configuration, role: role, pool: pool)
        raw = memory.link
        scratch = .allocate(capacity: Int(OURO_SCRATCH_SIZE))
        scratch.initialize(repeating: 0, count: Int(OURO_SCRATCH_SIZE))
        let seed = UInt32.random(in: 0...UInt32.max)
        let status =
            if let credential {
                credential.withEngineForm { ouro_link_init(raw, memory.settings, memory.layout, $0, seed) }
            } else {
                ouro_link_init(raw, memory.settings, memory.layout, nil, seed)
            }
        try OuroborosError.check(status, "making a link")
    }

    /// A client's link.
    public convenience init(
        client credential: Credential, configuration: LinkConfiguration = .client
    ) throws(OuroborosError) {
        let pool = try PlacePool(places: max(1, configuration.places))
        try self.init(configuration, role: OURO_CLIENT, pool: pool, credential: credential)
    }

    /// A server's link to one device, which ``Acceptor`` gives its sessions.
    public convenience init(
        serverWith pool: PlacePool, configuration: LinkConfiguration = .server
    ) throws(OuroborosError) {
        try self.init(configuration, role: OURO_SERVER, pool: pool, credential: nil)
    }

    deinit {
        ouro_link_erase(raw)
        ouro_erase(scratch, Int(OURO_SCRATCH_SIZE))
        scratch.deallocate()
    }

    // MARK: Packets

    /// Takes one packet and opens it in place. `source` is nil at a client, which gives only its server's.
    public func receive(
        _ packet: UnsafeMutableRawBufferPointer, from source: PeerAddress? = nil, now: UInt64
    ) -> Receipt {
        guard let tap else { return take(packet, from: source, now: now) }
        // It is opened in place.
        let seen = Array(packet)
        let receipt = take(packet, from: source, now: now)
        tap.report(.received(seen, from: source, receipt))
        return receipt
    }

    private func take(
        _ packet: UnsafeMutableRawBufferPointer, from source: PeerAddress?, now: UInt64
    ) -> Receipt {
        guard let bytes = packet.octets else { return .dropped(.malformed) }
        guard var address = source?.raw else {
            return Receipt(ouro_link_receive(raw, now, nil, bytes, packet.count))
        }
        return Receipt(ouro_link_receive(raw, now, &address, bytes, packet.count))
    }

    /// Gives the next packet to send to `body`, with its address at a server; false when there is none. A message whose
    /// packet cannot be made, as the crypto library fails, ends as *failed*.
    public func transmit(
        now: UInt64, _ body: (UnsafeRawBufferPointer, PeerAddress?) -> Void
    ) throws(OuroborosError) -> Bool {
        try transmit(body) { ouro_link_transmit(raw, now, scratch, $0) }
    }

    /// The same for a PONG alone: for those who read many packets before they transmit, after each.
    public func transmitPong(
        now: UInt64, _ body: (UnsafeRawBufferPointer, PeerAddress?) -> Void
    ) throws(OuroborosError) -> Bool {
        try transmit(body) { ouro_link_transmit_pong(raw, now, scratch, $0) }
    }

    func transmit(
        _ body: (UnsafeRawBufferPointer, PeerAddress?) -> Void,
        _ call: (UnsafeMutablePointer<ouro_datagram>) -> ouro_status
    ) throws(OuroborosError) -> Bool {
        var datagram = ouro_datagram()
        var status = call(&datagram)
        // What could not be made is a message that fails, with its event, or counts as lost: there is less to send now.
        while status == OURO_ERR_CRYPTO {
            status = call(&datagram)
        }
        try OuroborosError.check(status, "making a packet")
        guard datagram.len > 0 else { return false }
        let packet = UnsafeRawBufferPointer(start: datagram.data, count: datagram.len)
        let address = datagram.to.map { PeerAddress($0.pointee) }
        tap?.report(
            .sent(Array(packet), to: address, credential: Packet.isHello(packet) ? credential : nil))
        body(packet, address)
        return true
    }

    /// Runs the timers that are due.
    public func tick(now: UInt64) {
        ouro_link_tick(raw, now)
    }

    /// When ``tick(now:)`` is to be called next; nil when only a packet or a message can matter.
    public func deadline(now: UInt64) -> UInt64? {
        let deadline = ouro_link_deadline(raw, now)
        return deadline == .max ? nil : deadline
    }

    // MARK: Events

    /// The next event, or nil. Drain it after each packet.
    public func nextEvent() throws(OuroborosError) -> LinkEvent? {
        var event = ouro_event()
        while ouro_link_next_event(raw, &event) {
            if event.type == OURO_EVENT_NONCE {
                try giveNonce()
            } else if let event = translate(event) {
                return event
            }
        }
        if !isSaving { kept = nil }
        return nil
    }

    private func giveNonce() throws(OuroborosError) {
        let status = withUnsafeTemporaryAllocation(byteCount: Int(OURO_NONCE_SIZE), alignment: 1) { nonce in
            Randomness.fill(nonce)
            return ouro_link_nonce(raw, nonce.octets)
        }
        // A HELLO that could not be made counts as lost: another nonce is asked for after a time-out.
        if status != OURO_ERR_CRYPTO {
            try OuroborosError.check(status, "beginning a handshake")
        }
    }

    private func translate(_ event: ouro_event) -> LinkEvent? {
        let message = MessageID(number: event.message)
        return switch event.type {
        case OURO_EVENT_MESSAGE: .message(self.message(event))
        case OURO_EVENT_DELIVERED: .delivered(message)
        case OURO_EVENT_SENT: .sent(message)
        case OURO_EVENT_UNKNOWN: .unknown(message, isStalled: event.stalled)
        case OURO_EVENT_FAILED: .failed(message)
        case OURO_EVENT_ESTABLISHED: .established(sessionID: event.session_id)
        case OURO_EVENT_CLOSED:
            .closed(
                reason: CloseReason(rawValue: event.reason) ?? .normal, byPeer: event.by_peer,
                missing: UInt64(event.missing))
        case OURO_EVENT_EPOCH: credential.map(LinkEvent.epochMoved)
        case OURO_EVENT_STALLED: .stalled(message, size: event.len)
        case OURO_EVENT_DEAD: .dead
        case OURO_EVENT_ALIVE: .alive
        case OURO_EVENT_PONG: .pong(roundTripMilliseconds: UInt64(event.rtt_ms))
        default: nil
        }
    }

    /// The event points into the packet, so its bytes are copied here.
    private func message(_ event: ouro_event) -> Message {
        Message(
            sessionID: event.session_id, counter: event.counter,
            payload: Array(UnsafeBufferPointer(start: event.data, count: event.len)),
            position: event.once ? OutboxPosition(box: event.box, sequence: event.seq) : nil,
            isLastOfPacket: event.last)
    }

    /// A client's credential as it stands now.
    public var credential: Credential? {
        memory.layout.pointee.client.map { client in
            withUnsafeMutablePointer(to: &client.pointee.credential) { Credential($0) }
        }
    }

    /// The credential that ``LinkEvent/epochMoved(_:)`` gave is durable: the link goes on.
    public func epochSaved() {
        isSaving = false
        ouro_link_epoch_saved(raw)
    }

    /// The first packet of a session. Where that moves the epoch its events come after ``epochSaved()``.
    func keep(_ packet: KeptPacket, isSaving: Bool) {
        kept = packet
        self.isSaving = isSaving
    }

    /// The message is handed on, and safe: it may be acknowledged.
    public func done(sessionID: UInt32, counter: UInt64) {
        ouro_link_done(raw, sessionID, counter)
    }

    /// How much room the application's queue has, in packets. Without room the peer is told to wait.
    public func setRoom(free: Int, capacity: Int) {
        ouro_link_set_room(raw, max(0, free), max(0, capacity))
    }

    // MARK: Messages and life

    /// Client: begins a handshake, at once or, where sessions did not last, when ``connectsAt(now:)`` says.
    public func connect(now: UInt64) throws(OuroborosError) {
        try OuroborosError.check(ouro_link_connect(raw, now), "connecting")
    }

    /// Client: when a handshake may begin at the earliest. Over a stream, open one no sooner. After a restart the wait runs
    /// from ``connect(now:)``, and until then this moves on with `now`: connect first.
    public func connectsAt(now: UInt64) -> UInt64 {
        ouro_link_connects_at(raw, now)
    }

    /// Takes a message and copies it. Its outcome comes as an event, unless it is unreliable and `sent`.
    public func send(_ message: OutgoingMessage, now: UInt64) throws(OuroborosError) -> MessageID {
        if let time = message.timeToLive {
            try LinkConfiguration.check(time, in: LinkConfiguration.timesToLive, "timeToLive", "ms")
        }
        var id: UInt32 = 0
        let status = message.payload.withUnsafeBufferPointer { payload in
            var engine = ouro_message()
            engine.data = payload.baseAddress
            engine.len = payload.count
            engine.reliable = message.delivery == .reliable
            engine.batch = message.isBatch
            engine.box = message.position?.box ?? 0
            engine.seq = message.position?.sequence ?? 0
            engine.ttl_ms = message.timeToLive ?? 0
            return ouro_link_send(raw, now, &engine, &id)
        }
        if status == OURO_ERR_TOO_LARGE {
            throw .tooLarge(message.payload.count, limit: maximumMessage(inOutbox: message.position != nil))
        }
        try OuroborosError.check(status, "sending a message")
        return MessageID(number: id)
    }

    /// A message that was *unknown* will not be given again: it holds up nothing higher of its box any more.
    public func giveUp(_ position: OutboxPosition) {
        // A box that is not the one used last holds nothing up.
        _ = ouro_link_give_up(raw, position.box, position.sequence)
    }

    /// Takes back a message that was not sent yet; false when it was.
    public func withdraw(_ id: MessageID) -> Bool {
        ouro_link_withdraw(raw, id.number) == OURO_OK
    }

    /// The largest message that ``send(_:now:)`` takes now: the peer's own limit, once it is known.
    public func maximumMessage(inOutbox: Bool = false) -> Int {
        ouro_link_max_message(raw, inOutbox)
    }

    /// Sends a PING, if none is outstanding.
    public func ping() throws(OuroborosError) {
        try OuroborosError.check(ouro_link_ping(raw), "sending a PING")
    }

    /// Client: replaces the session, make before break; server: asks the client to.
    public func rekey(now: UInt64) throws(OuroborosError) {
        try OuroborosError.check(ouro_link_rekey(raw, now), "replacing the session")
    }

    /// Takes no new message, sends what is queued, then CLOSE; at once if that is asked for.
    public func close(reason: CloseReason, atOnce: Bool, now: UInt64) throws(OuroborosError) {
        try OuroborosError.check(
            ouro_link_close(raw, now, ouro_reason(rawValue: UInt32(reason.rawValue)), atOnce), "closing")
    }

    /// Makes the next message's keys ahead, in idle time, for a message of so many bytes.
    public func prepare(bodyLength: Int) throws(OuroborosError) {
        try LinkConfiguration.check(bodyLength, in: 0...Int(OURO_MAX_BODY), "bodyLength", "bytes")
        let status = ouro_link_prepare(raw, bodyLength)
        // They are made when they are needed.
        if status != OURO_ERR_CRYPTO {
            try OuroborosError.check(status, "preparing a message")
        }
    }

    public var isOpen: Bool { ouro_link_is_open(raw) }
    public var isClosed: Bool { ouro_link_is_closed(raw) }
    /// Messages that are queued or in flight; nothing waits for one that is stalled.
    public var pending: Int { ouro_link_pending(raw) }
    public var statistics: Statistics { Statistics(raw) }
    /// The smoothed round trip; 0 without a sample.
    public var roundTripMilliseconds: UInt32 { ouro_link_rtt(raw) }
    /// What the link takes, its places apart.
    public var byteCount: Int { memory.byteCount + Int(OURO_SCRATCH_SIZE) }

    /// A client's: a HELLO is out, or about to be.
    public var isShakingHands: Bool {
        memory.layout.pointee.client.map { Int($0.pointee.phase) != Int(OURO_HANDSHAKE_IDLE) } ?? false
    }

    /// The ids of the sessions that the link holds, newest first.
    public var sessionIDs: [UInt32] {
        let live = raw.pointee.live
        return [live.0, live.1, live.2].compactMap { $0?.pointee.id }
    }
}
