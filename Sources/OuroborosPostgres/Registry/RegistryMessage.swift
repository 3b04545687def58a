import Ouroboros

/// What gateways tell each other through the database (LISTEN, NOTIFY), as text:
/// `confirmed DEVICE SESSION NUMBER`, `changed DEVICE`, `queued DEVICE` or `settled DEVICE ID`.
enum RegistryMessage: Equatable {
    case confirmed(ConfirmedSession)
    case changed(DeviceID)
    /// A message to the device waits.
    case queued(DeviceID)
    /// The fate of a message to the device is known.
    case settled(DeviceID, id: Int64)

    static let channel = "ouroboros"

    var text: String {
        switch self {
        case .confirmed(let session): "confirmed \(session.device) \(session.sessionID) \(session.number)"
        case .changed(let device): "changed \(device)"
        case .queued(let device): "queued \(device)"
        case .settled(let device, let id): "settled \(device) \(id)"
        }
    }

    /// Nil for what is none: whoever may use the database can notify anything.
    init?(_ text: String) {
        let parts = text.split(separator: " ", omittingEmptySubsequences: false)
        guard parts.count > 1, let device = try? DeviceID(hex: String(parts[1])) else { return nil }
        switch (parts[0], parts.count) {
        case ("confirmed", 4):
            guard let session = UInt32(parts[2]), let number = UInt64(parts[3]) else { return nil }
            self = .confirmed(ConfirmedSession(device: device, sessionID: session, number: number))
        case ("changed", 2): self = .changed(device)
        case ("queued", 2): self = .queued(device)
        case ("settled", 3):
            guard let id = Int64(parts[2]) else { return nil }
            self = .settled(device, id: id)
        default: return nil
        }
    }

    /// It is told when the transaction is committed.
    func send(on connection: PostgresConnection) throws {
        try connection.query("SELECT pg_notify($1, $2) IS NULL", [.text(Self.channel), .text(text)])
    }

    /// The same, of many, which are told in one statement.
    static func send(_ messages: [RegistryMessage], on connection: PostgresConnection) throws {
        guard !messages.isEmpty else { return }
        try connection.run([telling(messages)])
    }

    static func telling(_ messages: [RegistryMessage]) -> PostgresStatement {
        PostgresStatement(
            "SELECT count(pg_notify($1, text) IS NULL) FROM unnest($2) AS told (text)",
            [.text(channel), .texts(messages.map(\.text))])
    }
}
