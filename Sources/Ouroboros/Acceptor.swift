internal import COuroboros

/// A server's handshakes: what stands between a HELLO and a confirmed session.
///
/// The caller keeps the registry of devices and the table of links by session id. Like ``Link`` it belongs to
/// one thread or event loop.
public final class Acceptor {
    public struct Configuration: Sendable, Hashable {
        /// As the links of the server have it.
        public var reach = 32
        public var maxBody = Int(OURO_MAX_BODY)
        public var isStream = false
        /// Sessions that wait for their first packet, of all devices.
        public var pendingSessions = 256
        /// Devices whose later epochs are kept at hand for a minute, 32 KiB each; 0 allows one epoch ahead.
        public var devicesAhead = Int(OURO_AHEAD_DEVICES)
        /// The upper bits of each session id, at most 16, which tell whose session it is.
        public var idPrefix: UInt16 = 0
        public var idPrefixBits = 0
        /// Milliseconds, 1,000 to 3,600,000: a challenge holds for this slice of time and the next. Alike on all gateways of
        /// a fleet.
        public var challengeSlice: UInt32 = 60_000
        /// Sees every packet that is taken or given here.
        public var tap: PacketTap?

        public init() {}

        func check() throws(OuroborosError) {
            try LinkConfiguration.checkTerms(reach: reach, maxBody: maxBody)
            try LinkConfiguration.check(pendingSessions, in: 1...65_535, "pendingSessions")
            try LinkConfiguration.check(devicesAhead, in: 0...1024, "devicesAhead")
            try LinkConfiguration.check(idPrefixBits, in: 0...16, "idPrefixBits")
            try LinkConfiguration.check(Int(idPrefix), in: 0...(1 << idPrefixBits) - 1, "idPrefix")
            try LinkConfiguration.check(challengeSlice, in: 1000...3_600_000, "challengeSlice", "ms")
        }
    }

    /// The answer to a HELLO.
    public enum Answer {
        /// To be sent back; when the credential moved, after it was made durable.
        case welcome([UInt8], moved: Credential?)
        case dropped(DropReason)
    }

    /// What the first packet of a pending session is.
    public enum Opening {
        case opened(ConfirmingPacket)
        case dropped(DropReason)
    }

    /// What became of the first packet of a pending session.
    public enum Confirmation {
        /// The link has the session now. When the credential moved, make it durable, then call
        /// ``Link/epochSaved()``.
        case confirmed(moved: Credential?)
        case dropped(DropReason)
    }

    let raw: UnsafeMutablePointer<ouro_server>
    private let settings: UnsafeMutablePointer<ouro_server_settings>
    private let pending: UnsafeMutableBufferPointer<ouro_pending>
    private let ahead: UnsafeMutableBufferPointer<ouro_ahead>
    private let tap: PacketTap?
    private let shared: SharedChallenges?

    /// With `shared`, a challenge of this acceptor holds at all that were given the same.
    public init(
        configuration: Configuration, shared: SharedChallenges? = nil, now: UInt64
    ) throws(OuroborosError) {
        try configuration.check()
        tap = configuration.tap
        self.shared = shared
        settings = .allocate(capacity: 1)
        settings.initialize(to: ouro_server_settings())
        settings.pointee.reach = UInt8(configuration.reach)
        settings.pointee.max_body = UInt16(configuration.maxBody)
        settings.pointee.stream = configuration.isStream
        settings.pointee.id_prefix = configuration.idPrefix
        settings.pointee.challenge_slice_ms = configuration.challengeSlice
        settings.pointee.id_prefix_bits = UInt8(configuration.idPrefixBits)
        pending = Self.zeroed(configuration.pendingSessions)
        // The engine writes the epochs ahead before it reads them: they stay untouched until a device needs them.
        ahead = .allocate(capacity: configuration.devicesAhead)
        for index in ahead.indices {
            ahead[index].device = nil
            ahead[index].epoch = 0
            ahead[index].made_ms = 0
        }
        raw = .allocate(capacity: 1)
        raw.initialize(to: ouro_server())
        let key = if let shared { try shared.key() } else { SecretKey.random() }
        let status = key.withUnsafeBytes { key in
            ouro_server_init(
                raw, settings, pending.baseAddress, pending.count,
                ahead.isEmpty ? nil : ahead.baseAddress, ahead.count, key.octets, now)
        }
        try OuroborosError.check(status, "making a server")
        if let second = try shared?.secondKey() {
            second.withUnsafeBytes { ouro_server_set_second_challenge_key(raw, $0.octets) }
        }
    }

    deinit {
        ouro_server_erase(raw)
        ouro_erase(pending.baseAddress, pending.count * MemoryLayout<ouro_pending>.stride)
        raw.deallocate()
        pending.deallocate()
        ahead.deallocate()
        settings.deallocate()
    }

    private static func zeroed<Element>(_ count: Int) -> UnsafeMutableBufferPointer<Element> {
        let buffer = UnsafeMutableBufferPointer<Element>.allocate(capacity: count)
        UnsafeMutableRawBufferPointer(buffer).initializeMemory(as: UInt8.self, repeating: 0)
        return buffer
    }

    /// Answers a HELLO of the device. `isTaken` says whether a link holds a session id already.
    public func answer(
        hello packet: UnsafeRawBufferPointer, of device: AcceptedDevice, link: Link?, now: UInt64,
        isTaken: (UInt32) -> Bool
    ) throws(OuroborosError) -> Answer {
        var welcome = [UInt8](repeating: 0, count: Int(OURO_WELCOME_SIZE))
        var moved = false
        if let shared {
            ouro_server_set_wall_clock(raw, now, shared.wallClock())
        }
        // A pending session may hold the id that was drawn, once in millions of handshakes.
        for _ in 0..<8 {
            guard let id = freshID(isTaken) else { break }
            let status = withUnsafeTemporaryAllocation(
                byteCount: Int(OURO_NONCE_SIZE), alignment: 1
            ) { nonce in
                Randomness.fill(nonce)
                return ouro_server_hello(
                    raw, now, device.raw, link?.raw, packet.octets, packet.count, id,
                    nonce.octets, &welcome, &moved)
            }
            if status == OURO_OK {
                tap?.report(.received(Array(packet), from: nil, .taken))
                tap?.report(.sent(welcome, to: nil, credential: device.credential))
                return .welcome(welcome, moved: moved ? device.credential : nil)
            }
            if let reason = DropReason(status) {
                tap?.report(.received(Array(packet), from: nil, .dropped(reason)))
                return .dropped(reason)
            }
            guard status == OURO_ERR_ARGUMENT else {
                throw OuroborosError(status, "answering a HELLO")
            }
        }
        throw OuroborosError(.engine, "answering a HELLO: no session id is free")
    }

    /// Nil when, with every try, a session of that id is there: the prefix leaves too few.
    private func freshID(_ isTaken: (UInt32) -> Bool) -> UInt32? {
        for _ in 0..<64 {
            let id = ouro_server_session_id(settings, UInt32.random(in: 0...UInt32.max))
            if id != 0, !isTaken(id) {
                return id
            }
        }
        return nil
    }

    /// The device of a pending session, or nil.
    public func device(ofPending sessionID: UInt32) -> DeviceID? {
        guard let device = ouro_server_pending(raw, sessionID)?.pointee.device else { return nil }
        return withUnsafeBytes(of: device.pointee.credential.device_id) { try? DeviceID($0) }
    }

    /// Opens the first packet of a pending session, in place or in a copy, and gives the session to the device's link,
    /// which `link` finds or makes once the packet is known to be authentic.
    public func confirm(
        sessionID: UInt32, packet: UnsafeMutableRawBufferPointer, from source: PeerAddress,
        device: AcceptedDevice, now: UInt64, link: () throws(OuroborosError) -> Link
    ) throws(OuroborosError) -> Confirmation {
        // Making an epoch durable may take longer than the caller's packet lives.
        let keeps = device.raw.pointee.credential.evolving
        switch try open(sessionID: sessionID, packet: packet, from: source, keeps: keeps, now: now) {
        case .dropped(let reason): return .dropped(reason)
        case .opened(let first): return try adopt(first, device: device, now: now, link: link)
        }
    }

    /// The first half of it: the packet is authentic. With `keeps` the session may be given to a link later, once its
    /// number is durable; nothing else of it may be opened meanwhile.
    public func open(
        sessionID: UInt32, packet: UnsafeMutableRawBufferPointer, from source: PeerAddress, keeps: Bool,
        now: UInt64
    ) throws(OuroborosError) -> Opening {
        guard let pending = ouro_server_pending(raw, sessionID) else {
            return .dropped(.unknownSession)
        }
        let first = ConfirmingPacket(
            of: sessionID, from: source, number: pending.pointee.number,
            kept: keeps ? KeptPacket(packet) : nil)
        // It is opened in place.
        let seen = tap == nil ? [] : Array(packet)
        let packet = first.kept?.bytes ?? packet
        let status = ouro_server_open(raw, now, pending, packet.octets, packet.count, &first.opened)
        tap?.report(.received(seen, from: source, Receipt(status)))
        if let reason = DropReason(status) {
            return .dropped(reason)
        }
        try OuroborosError.check(status, "opening the first packet of a session")
        return .opened(first)
    }

    /// The second half. The session may have ended meanwhile.
    public func adopt(
        _ first: ConfirmingPacket, device: AcceptedDevice, now: UInt64,
        link: () throws(OuroborosError) -> Link
    ) throws(OuroborosError) -> Confirmation {
        guard let pending = ouro_server_pending(raw, first.sessionID) else {
            return .dropped(.unknownSession)
        }
        var moved = false
        var address = first.source.raw
        let adopting = try link()
        try OuroborosError.check(
            ouro_server_adopt(raw, now, pending, adopting.raw, &address, &first.opened, &moved),
            "confirming a session")
        if let kept = first.kept { adopting.keep(kept, isSaving: moved) }
        return .confirmed(moved: moved ? device.credential : nil)
    }

    /// Ends the device's pending sessions that were made from a lower number: a session of this one was confirmed
    /// elsewhere.
    public func dropPending(of device: AcceptedDevice, before number: UInt64) {
        ouro_server_drop_pending(raw, device.raw, number)
    }

    /// Ends the pending sessions that are too old; gives when to be called next, or nil.
    public func tick(now: UInt64) -> UInt64? {
        let next = ouro_server_tick(raw, now)
        return next == .max ? nil : next
    }

    public var pendingCount: Int { raw.pointee.pending_used }
}
