import Ouroboros

/// What gateways tell each other through the database (LISTEN, NOTIFY), as text:
/// `confirmed DEVICE SESSION EPOCH` or `changed DEVICE`.
enum RegistryMessage: Equatable {
    case confirmed(ConfirmedSession)
    case changed(DeviceID)

    static let channel = "ouroboros"

    var text: String {
        switch self {
        case .confirmed(let session): "confirmed \(session.device) \(session.sessionID) \(session.epoch)"
        case .changed(let device): "changed \(device)"
        }
    }

    /// Nil for what is none: whoever may use the database can notify anything.
    init?(_ text: String) {
        let parts = text.split(separator: " ", omittingEmptySubsequences: false)
        guard parts.count > 1, let device = try? DeviceID(hex: String(parts[1])) else { return nil }
        switch (parts[0], parts.count) {
        case ("confirmed", 4):
            guard let session = UInt32(parts[2]), let epoch = UInt64(parts[3]) else { return nil }
            self = .confirmed(ConfirmedSession(device: device, sessionID: session, epoch: epoch))
        case ("changed", 2): self = .changed(device)
        default: return nil
        }
    }

    /// It is told when the transaction is committed.
    func send(on connection: PostgresConnection) throws {
        try connection.query("SELECT pg_notify($1, $2) IS NULL", [.text(Self.channel), .text(text)])
    }

    var notice: RegistryNotice {
        switch self {
        case .confirmed(let session): .confirmed(session)
        case .changed(let device): .changed(device)
        }
    }
}
