internal import COuroboros

/// A client's handshake for a ``Session``: HELLO goes out, WELCOME comes in.
///
/// ``hello`` is sent again, as it is, until an answer came: when, and how often, is the caller's. One that was answered
/// is over, and the next session takes a new one. Like ``Link`` it belongs to one thread at a time.
public final class ClientHandshake {
    /// What is to be done next.
    public enum Step {
        /// The server wants to see that the HELLO is fresh: ``ClientHandshake/hello`` is another now, to be sent.
        case send([UInt8])
        /// The credential moved: make it durable, then call ``ClientHandshake/epochSaved()``, which gives the session.
        case save(Credential)
        case session(Session)
        /// Hostile, late or repeated: nothing is to be done.
        case dropped(DropReason)
    }

    /// Section 3.4.
    private static let challengeLimit = 2

    public private(set) var hello: [UInt8] = []
    private let configuration: Session.Configuration
    /// Nil when it has made its session: a WELCOME that is taken twice would give the same keys twice.
    private var credential: Credential?
    private var fields = ouro_hello()
    private var challenges = 0
    private var unsaved: Session?

    public init(
        _ credential: Credential, configuration: Session.Configuration = .init()
    ) throws(OuroborosError) {
        try configuration.check()
        self.configuration = configuration
        self.credential = credential
        withUnsafeMutableBytes(of: &fields.nonce) { Randomness.fill($0) }
        fields.reach = UInt8(configuration.reach)
        fields.max_body = UInt16(configuration.maxBody)
        fields.stream = configuration.isStream
        try writeHello(credential)
    }

    private func writeHello(_ credential: Credential) throws(OuroborosError) {
        var packet = [UInt8](repeating: 0, count: Int(OURO_HELLO_MAX))
        var length = 0
        let status = credential.withEngineForm { raw in
            fields.device_id = raw.pointee.device_id
            fields.epoch = raw.pointee.epoch
            fields.evolving = raw.pointee.evolving
            return raw.withAuthKey { ouro_hello_write(&fields, $0, &packet, &length) }
        }
        try OuroborosError.check(status, "making a HELLO")
        hello = Array(packet[..<length])
    }

    /// Takes what came as an answer.
    public func receive(_ packet: [UInt8]) throws(OuroborosError) -> Step {
        guard unsaved == nil else { return .dropped(.busy) }
        guard let credential else { return .dropped(.handshake) }
        var welcome = ouro_welcome()
        let status = credential.withEngineForm { raw in
            raw.withAuthKey {
                ouro_welcome_read($0, hello, hello.count, packet, packet.count, &welcome)
            }
        }
        if let reason = DropReason(status) {
            return .dropped(reason)
        }
        try OuroborosError.check(status, "reading a WELCOME")
        return welcome.session_id == 0
            ? try meet(welcome, credential) : try establish(credential, welcome: packet)
    }

    private func meet(
        _ challenge: ouro_welcome, _ credential: Credential
    ) throws(OuroborosError) -> Step {
        guard challenges < Self.challengeLimit else { return .dropped(.limit) }
        fields.has_challenge = true
        fields.challenge = challenge.nonce
        try writeHello(credential)
        challenges += 1
        return .send(hello)
    }

    private func establish(
        _ credential: Credential, welcome: [UInt8]
    ) throws(OuroborosError) -> Step {
        let session = try Session(
            OURO_CLIENT, credential, hello: hello, welcome: welcome, configuration: configuration)
        let moved = credential.kind == .evolving ? try credential.advanced(by: 1) : nil
        self.credential = nil
        guard let moved else { return .session(session) }
        unsaved = session
        return .save(moved)
    }

    /// The credential that ``Step/save(_:)`` gave is durable.
    public func epochSaved() throws(OuroborosError) -> Step {
        guard let session = unsaved else { throw .nothingToSave }
        unsaved = nil
        return .session(session)
    }
}

extension UnsafeMutablePointer<ouro_credential> {
    /// K_auth of the credential's epoch, erased after `body`.
    func withAuthKey(_ body: (UnsafePointer<UInt8>) -> ouro_status) -> ouro_status {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: Int(OURO_KEY_SIZE)) { key in
            guard let auth = key.baseAddress else { return OURO_ERR_ARGUMENT }
            defer { ouro_erase(auth, key.count) }
            let status = withUnsafeBytes(of: &pointee.key) { ouro_auth_key($0.octets, pointee.epoch, auth) }
            return status == OURO_OK ? body(auth) : status
        }
    }
}

extension Credential {
    /// An evolving credential, so many epochs later.
    func advanced(by steps: UInt64) throws(OuroborosError) -> Credential {
        let (later, isTooFar) = epoch.addingReportingOverflow(steps)
        guard !isTooFar else {
            throw OuroborosError(
                .limit, "the credential of \(deviceID) is at its last epoch: give the device a new root key")
        }
        return try withEngineForm { (raw) throws(OuroborosError) in
            let status = withUnsafeMutableBytes(of: &raw.pointee.key) {
                ouro_epoch_advance($0.octets, epoch, steps)
            }
            try OuroborosError.check(status, "moving a credential")
            raw.pointee.epoch = later
            return Credential(raw)
        }
    }
}

extension OuroborosError {
    static var nothingToSave: OuroborosError {
        OuroborosError(
            .wrongState, "no epoch waits to be saved: call this once, after the step that asks for it")
    }
}
