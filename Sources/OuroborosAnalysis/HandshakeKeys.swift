import Ouroboros

/// Finds the secrets of the sessions whose handshakes pass by at one of their ends.
public struct HandshakeKeys: Sendable {
    private var hellos: [(packet: [UInt8], credential: Credential?)] = []
    private var told: [[UInt8]] = []

    /// Enough for handshakes that overlap; an older one is not found, which loses a line of a log.
    private static let limit = 64

    public init() {}

    /// A HELLO that was sent, with its credential, or that came.
    public mutating func noteHello(_ packet: [UInt8], credential: Credential?) {
        if let known = hellos.firstIndex(where: { $0.packet == packet }) {
            hellos.remove(at: known)
        }
        hellos.append((packet, credential))
        hellos.removeFirst(max(0, hellos.count - Self.limit))
    }

    /// The secrets that follow from a WELCOME; nil for a challenge, for one that answers nothing here, and for one
    /// that was told before. `credential` is a server's; a client's came with its HELLO.
    public mutating func welcome(_ packet: [UInt8], credential: Credential? = nil) -> SessionKeys? {
        guard !told.contains(packet) else { return nil }
        for hello in hellos.reversed() {
            guard let credential = credential ?? hello.credential,
                let keys = try? SessionKeys(
                    hello: hello.packet, welcome: packet, epochKey: credential.key, epoch: credential.epoch)
            else { continue }
            told.append(packet)
            told.removeFirst(max(0, told.count - Self.limit))
            return keys
        }
        return nil
    }
}
