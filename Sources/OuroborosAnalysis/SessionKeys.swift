internal import COuroboros
import Ouroboros

/// The two secrets of a session: whoever has them opens all of it.
public struct SessionKeys: Sendable {
    public let sessionID: UInt32
    /// nonce_c, which tells sessions of one id apart.
    public let nonce: [UInt8]
    public let clientToServer: SecretKey
    public let serverToClient: SecretKey

    public init(sessionID: UInt32, nonce: [UInt8], clientToServer: SecretKey, serverToClient: SecretKey) {
        self.sessionID = sessionID
        self.nonce = nonce
        self.clientToServer = clientToServer
        self.serverToClient = serverToClient
    }

    /// From a whole HELLO and the whole WELCOME that answers it, whose tags both have to verify under the key of
    /// their epoch. Fails otherwise.
    public init(hello: [UInt8], welcome: [UInt8], epochKey: SecretKey, epoch: UInt64) throws {
        guard let said = DecodedPacket(hello).hello, let answer = DecodedPacket(welcome).welcome,
            said.epoch == epoch, !answer.isChallenge
        else {
            throw OuroborosError(.engine, "no HELLO with its WELCOME of epoch \(epoch)")
        }
        try Self.verify(hello, welcome, epochKey, epoch)
        // A session keeps K_c2s (at a server K_s2c) until message 0 is protected.
        clientToServer = try Self.direction(OURO_CLIENT, hello, welcome, epochKey, epoch)
        serverToClient = try Self.direction(OURO_SERVER, hello, welcome, epochKey, epoch)
        nonce = said.nonce
        sessionID = answer.sessionID
    }

    private static func verify(
        _ hello: [UInt8], _ welcome: [UInt8], _ key: SecretKey, _ epoch: UInt64
    ) throws {
        var auth = [UInt8](repeating: 0, count: Int(OURO_KEY_SIZE))
        defer { ouro_erase(&auth, auth.count) }
        var status = key.withUnsafeBytes { ouro_auth_key($0.octets, epoch, &auth) }
        if status == OURO_OK {
            status = ouro_hello_verify(auth, hello, hello.count)
        }
        if status == OURO_OK {
            var read = ouro_welcome()
            status = ouro_welcome_read(auth, hello, hello.count, welcome, welcome.count, &read)
        }
        try EngineStatus.check(status, "verifying a handshake")
    }

    private static func direction(
        _ role: ouro_role, _ hello: [UInt8], _ welcome: [UInt8], _ key: SecretKey, _ epoch: UInt64
    ) throws -> SecretKey {
        var credential = ouro_credential()
        var session = ouro_session()
        defer {
            ouro_erase(&credential, MemoryLayout<ouro_credential>.size)
            ouro_session_erase(&session)
        }
        credential.epoch = epoch
        key.withUnsafeBytes { key in withUnsafeMutableBytes(of: &credential.key) { $0.copyMemory(from: key) }
        }
        try EngineStatus.check(
            ouro_handshake_session(&session, role, &credential, hello, hello.count, welcome, nil, 0),
            "deriving a session's keys")
        return try withUnsafeBytes(of: &session.tx_enc) { try SecretKey($0) }
    }
}

enum EngineStatus {
    static func check(_ status: ouro_status, _ activity: String) throws {
        guard status == OURO_OK else {
            throw OuroborosError(.engine, "\(activity): \(name(status))")
        }
    }

    static func name(_ status: ouro_status) -> String {
        String(cString: ouro_status_name(status))
    }
}

extension UnsafeRawBufferPointer {
    var octets: UnsafePointer<UInt8>? { baseAddress?.assumingMemoryBound(to: UInt8.self) }
}
