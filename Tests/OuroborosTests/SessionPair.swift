@testable import Ouroboros

/// The two ends of a ``Session``, whose packets a test carries by hand.
struct SessionPair {
    let client: Session
    let server: Session
    let handshake: ServerHandshake
    /// What the first packet brought.
    let first: Session.Opened

    /// A client that has heard of its server, unless it is not to.
    init(
        _ credential: Credential, _ configuration: Session.Configuration = .init(),
        client other: Session.Configuration? = nil, answers: Bool = true
    ) throws {
        let hello = try ClientHandshake(credential, configuration: other ?? configuration)
        handshake = try ServerHandshake(credential, configuration: configuration)
        let welcome = try Self.sent(handshake.receive(hello.hello))
        client = try Self.session(hello.receive(welcome), hello.epochSaved)
        (server, first) = try Self.session(handshake.receive(client.seal([])), handshake.epochSaved)
        if answers {
            _ = try client.open(server.seal([]))
        }
    }

    static func fixed(
        _ configuration: Session.Configuration = .init(), answers: Bool = true
    ) throws -> SessionPair {
        try SessionPair(.fixed(device: Pair.device, rootKey: .random()), configuration, answers: answers)
    }

    /// A step that is not the one that a test waits for.
    struct Unexpected: Error { let step: String }

    static func sent(_ step: ServerHandshake.Step) throws -> [UInt8] {
        guard case .send(let packet) = step else { throw Unexpected(step: "\(step)") }
        return packet
    }

    static func session(
        _ step: ClientHandshake.Step, _ saved: () throws -> ClientHandshake.Step
    ) throws -> Session {
        switch step {
        case .session(let session): session
        case .save: try session(saved(), saved)
        default: throw Unexpected(step: "\(step)")
        }
    }

    static func session(
        _ step: ServerHandshake.Step, _ saved: () throws -> ServerHandshake.Step
    ) throws -> (Session, Session.Opened) {
        switch step {
        case .session(let session, let first): (session, first)
        case .save: try session(saved(), saved)
        default: throw Unexpected(step: "\(step)")
        }
    }
}

extension Session.Opened {
    var payloads: [[UInt8]]? {
        if case .messages(let messages) = self { messages.map(\.payload) } else { nil }
    }

    var reason: DropReason? {
        if case .dropped(let reason) = self { reason } else { nil }
    }
}

extension ServerHandshake.Step {
    var reason: DropReason? {
        if case .dropped(let reason) = self { reason } else { nil }
    }

    var saved: Credential? {
        if case .save(let credential) = self { credential } else { nil }
    }
}

extension ClientHandshake.Step {
    var reason: DropReason? {
        if case .dropped(let reason) = self { reason } else { nil }
    }

    var saved: Credential? {
        if case .save(let credential) = self { credential } else { nil }
    }
}
