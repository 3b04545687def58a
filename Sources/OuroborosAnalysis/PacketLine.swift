import Ouroboros
import OuroborosText
/// A packet's header in one line: nothing in it is a secret.
extension DecodedPacket {
    public func line(size: Int, tellsFlaw: Bool = true) -> String {
        let ending = flaw.map { tellsFlaw ? " [malformed: \($0.text)]" : "" } ?? ""
        guard let header else { return "\(size) bytes\(ending)" }
        var words = [header.typeName]
        if !header.flags.isEmpty { words.append(header.flagNames.joined(separator: "|")) }
        if header.type != .hello {
            words.append("session " + Hex.string(UInt64(header.sessionID), digits: 8))
        }
        words.append("\(header.type?.isHandshake == true ? "epoch" : "counter") \(header.counter)")
        words.append("length \(header.length)")
        if let hello {
            words.append("device \(hello.device)")
            words += terms(hello.reach, hello.maxBody)
            if hello.challenge != nil { words.append("with a challenge") }
        } else if let welcome {
            words += welcome.isChallenge ? ["challenge"] : terms(welcome.reach, welcome.maxBody)
        }
        return words.joined(separator: " ") + ending
    }

    private func terms(_ reach: UInt8, _ maxBody: UInt16) -> [String] {
        ["reach \(reach)", "max_body \(maxBody)"]
    }
}
