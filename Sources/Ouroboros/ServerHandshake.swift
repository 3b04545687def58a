internal import COuroboros

/// A server's handshakes of one device, for a ``Session``: HELLO comes in, WELCOME goes out, and the first packet of the
/// device confirms the session.
///
/// Give it what is of no session at hand, and keep it as long as the device: a HELLO that is replayed makes a session
/// that nobody confirms, and touches none that is in use. How many handshakes are made in a time is the caller's to
/// limit. Like ``Link`` it belongs to one thread at a time.
public final class ServerHandshake {
    /// What is to be done next.
    public enum Step {
        /// A WELCOME, to be sent back.
        case send([UInt8])
        /// The credential moved: make it durable, then call ``ServerHandshake/epochSaved()``, which gives the next step.
        case save(Credential)
        /// The device is there, and this was in its first packet. An older session of the device may be let go.
        case session(Session, first: Session.Opened)
        /// Hostile, late or repeated: nothing is to be done. Over a stream the stream is over with it.
        case dropped(DropReason)
    }

    private struct Pending {
        let id: UInt32
        let hello: [UInt8]
        let welcome: [UInt8]
        /// Derived when the first packet comes.
        var session: Session?
    }

    /// As it stands now: an evolving one moves.
    public private(set) var credential: Credential
    private let configuration: Session.Configuration
    /// Oldest first.
    private var pending: [Pending] = []
    private var confirmedHello: [UInt8] = []
    private var unsaved: Step?

    public init(
        _ credential: Credential, configuration: Session.Configuration = .init()
    ) throws(OuroborosError) {
        try configuration.check()
        self.credential = credential
        self.configuration = configuration
    }

    /// Takes a HELLO, or the first packet of a session. `isTaken` says whether another session of this server has an id.
    public func receive(
        _ packet: [UInt8], isTaken: (UInt32) -> Bool = { _ in false }
    ) throws(OuroborosError) -> Step {
        guard unsaved == nil else { return .dropped(.busy) }
        let id = packet.withUnsafeBytes { Packet.sessionID(of: $0) }
        return id == 0 ? try answer(packet, isTaken) : try confirm(id, packet)
    }

    /// The credential that ``Step/save(_:)`` gave is durable.
    public func epochSaved() throws(OuroborosError) -> Step {
        guard let step = unsaved else { throw .nothingToSave }
        unsaved = nil
        return step
    }

    /// Forgets the sessions that no packet has confirmed: a server with a clock does so when they are 60 s old.
    public func dropPending() {
        pending.removeAll()
    }

    public var hasPendingSessions: Bool { !pending.isEmpty }

    // MARK: HELLO

    private func answer(
        _ packet: [UInt8], _ isTaken: (UInt32) -> Bool
    ) throws(OuroborosError) -> Step {
        var hello = ouro_hello()
        if let reason = DropReason(ouro_hello_read(packet, packet.count, &hello)) {
            return .dropped(reason)
        }
        guard withUnsafeBytes(of: hello.device_id, Array.init) == credential.deviceID.bytes else {
            return .dropped(.handshake)
        }
        guard hello.stream == configuration.isStream else { return .dropped(.transport) }
        let last = credential.kind == .evolving ? UInt64(configuration.epochsAhead) : 0
        guard hello.epoch >= credential.epoch, hello.epoch - credential.epoch <= last else {
            return .dropped(.epoch)
        }
        // A WELCOME was lost, or these credentials are an older copy.
        let steps = hello.epoch - credential.epoch
        let current = steps == 0 ? credential : try credential.advanced(by: steps)
        let status = current.withEngineForm { raw in
            raw.withAuthKey { ouro_hello_verify($0, packet, packet.count) }
        }
        if let reason = DropReason(status) {
            return .dropped(reason)
        }
        try OuroborosError.check(status, "reading a HELLO")
        guard hello.evolving == (credential.kind == .evolving) else { return .dropped(.kind) }
        if let same = pending.first(where: { $0.hello == packet }) {
            return .send(same.welcome)
        }
        guard packet != confirmedHello else { return .dropped(.handshake) }
        let made = try makePending(hello, packet, current, isTaken)
        if steps > 0 {
            pending.removeAll()
            credential = current
        } else if pending.count >= Int(OURO_PENDING_PER_DEVICE) {
            pending.removeFirst()
        }
        pending.append(made)
        guard steps > 0 else { return .send(made.welcome) }
        unsaved = .send(made.welcome)
        return .save(current)
    }

    private func makePending(
        _ hello: ouro_hello, _ packet: [UInt8], _ credential: Credential, _ isTaken: (UInt32) -> Bool
    ) throws(OuroborosError) -> Pending {
        var welcome = ouro_welcome()
        welcome.session_id = try freshID(isTaken)
        welcome.epoch = hello.epoch
        welcome.stream = hello.stream
        welcome.reach = UInt8(configuration.reach)
        welcome.max_body = UInt16(configuration.maxBody)
        withUnsafeMutableBytes(of: &welcome.nonce) { Randomness.fill($0) }
        var answer = [UInt8](repeating: 0, count: Int(OURO_WELCOME_SIZE))
        let status = credential.withEngineForm { raw in
            raw.withAuthKey { ouro_welcome_write(&welcome, $0, packet, packet.count, &answer) }
        }
        try OuroborosError.check(status, "making a WELCOME")
        return Pending(id: welcome.session_id, hello: packet, welcome: answer)
    }

    private func freshID(_ isTaken: (UInt32) -> Bool) throws(OuroborosError) -> UInt32 {
        for _ in 0..<64 {
            let id = UInt32.random(in: 1...UInt32.max)
            if !isTaken(id), !pending.contains(where: { $0.id == id }) {
                return id
            }
        }
        throw OuroborosError(.engine, "answering a HELLO: no session id is free")
    }

    // MARK: The first packet

    private func confirm(_ id: UInt32, _ packet: [UInt8]) throws(OuroborosError) -> Step {
        guard let index = pending.firstIndex(where: { $0.id == id }) else {
            return .dropped(.unknownSession)
        }
        let session = try session(ofPending: index)
        // Before the packet is opened, as that is done once.
        let moved = credential.kind == .evolving ? try credential.advanced(by: 1) : nil
        let first = try session.open(packet)
        if case .dropped(let reason) = first, !session.isConfirmed {
            // Over a stream it is over.
            if session.isOver { pending.remove(at: index) }
            return .dropped(reason)
        }
        confirmedHello = pending[index].hello
        pending.removeSubrange(...index)
        guard let moved else { return .session(session, first: first) }
        // The epoch is left, and with it what else was pending in it.
        pending.removeAll()
        credential = moved
        unsaved = .session(session, first: first)
        return .save(moved)
    }

    private func session(ofPending index: Int) throws(OuroborosError) -> Session {
        if let session = pending[index].session { return session }
        let session = try Session(
            OURO_SERVER, credential, hello: pending[index].hello, welcome: pending[index].welcome,
            configuration: configuration)
        pending[index].session = session
        return session
    }
}
