import LibC
import Ouroboros
import OuroborosAnalysis
import OuroborosStore
import OuroborosText

/// The file of --key-log, readable by its owner alone.
final class KeyLogWriter: Sendable {
    private let path: String
    private let file: Int32
    private let state = Locked((keys: HandshakeKeys(), hasFailed: false))

    init(path: String) throws {
        self.path = path
        try PrivateFile.prepare(path)
        file = open(path, O_WRONLY | O_APPEND | O_CLOEXEC)
        guard file >= 0 else {
            throw OuroborosError(.storage, "cannot write “\(path)”: \(String(cString: strerror(errno)))")
        }
        Output.note(
            "ouroboros: warning: --key-log writes the secrets of every session to “\(path)”: whoever reads that file "
                + "can open this traffic, recorded or to come")
    }

    deinit {
        close(file)
    }

    func see(_ event: PacketTap.Event) {
        state.withLock { state in
            guard let keys = Self.keys(event, &state.keys), !state.hasFailed else { return }
            if !append(KeyLog.line(keys)) {
                state.hasFailed = true
                Output.complain(
                    "the key log ends: cannot write “\(path)”: \(String(cString: strerror(errno)))")
            }
        }
    }

    private static func keys(_ event: PacketTap.Event, _ keys: inout HandshakeKeys) -> SessionKeys? {
        switch event {
        case .sent(let packet, _, let credential?):
            switch DecodedPacket(packet).handshake {
            case .hello: keys.noteHello(packet, credential: credential)
            case .welcome: return keys.welcome(packet, credential: credential)
            case nil: break
            }
        case .received(let packet, _, .taken):
            switch DecodedPacket(packet).handshake {
            case .hello: keys.noteHello(packet, credential: nil)
            case .welcome: return keys.welcome(packet)
            case nil: break
            }
        case .sent, .received: break
        }
        return nil
    }

    /// In one write, so that two processes can share a log.
    private func append(_ line: SecretBytes) -> Bool {
        line.withUnsafeBytes { write(file, $0.baseAddress, $0.count) == $0.count }
    }
}
