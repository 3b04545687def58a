import Foundation
import Ouroboros
import OuroborosText
import Testing

@testable import OuroborosAnalysis

/// The vectors that are made here have the form of the independent ones, and the decoder names what they name.
@Suite struct VectorTests {
    private func independent() throws -> [String: Any] {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        let data = try Data(contentsOf: root.appendingPathComponent("Vectors/ouroboros-v1.json"))
        return try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    }

    private func made(_ seed: UInt64) throws -> [String: Any] {
        let data = Data(try VectorFile(seed: seed).text.utf8)
        return try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    }

    /// Names, kinds and lengths of all that is in a value.
    private func shape(_ value: Any) -> String {
        switch value {
        case let object as [String: Any]:
            "{" + object.keys.sorted().map { "\($0):\(shape(object[$0] ?? ""))" }.joined(separator: ",") + "}"
        case let array as [Any]: "[" + array.map(shape).joined(separator: ",") + "]"
        case let text as String: "\(text.utf8.count)"
        default: "n"
        }
    }

    @Test func theFormIsThatOfTheIndependentFile() throws {
        var (theirs, ours) = (try independent(), try made(1))
        theirs["about"] = ""
        ours["about"] = ""
        #expect(shape(ours) == shape(theirs))
        let why = { (file: [String: Any]) in
            (file["reject"] as? [[String: Any]])?.map { $0["why"] as? String }
        }
        #expect(why(ours) == why(theirs))
    }

    @Test func aSeedDecidesAll() throws {
        #expect(try VectorFile(seed: 7).text == VectorFile(seed: 7).text)
        #expect(try VectorFile(seed: 7).text != VectorFile(seed: 8).text)
    }

    private static let flaws: [String: Flaw] = [
        "empty": .short, "shorter than a packet": .short, "version 2": .version, "version 0": .version,
        "type 0": .type, "type 15": .type, "reserved flag": .flags, "length one too long": .size,
        "one byte missing": .size, "one byte more": .size, "length above 1200": .long,
        "counter far ahead": .counter, "ACKS without a whole block": .length,
        "ONCE without its 8 bytes": .length, "ONCE on a PING": .flags, "BATCH on a PING": .flags,
        "ACK_REQ on a PING": .flags, "ACK without a block": .flagMissing, "CLOSE without a body": .length,
        "CLOSE with a reason alone": .length, "control counter of 2^32": .counter,
        "NACK without a reason": .length, "PING of 65 bytes": .length,
    ]

    @Test func theDecoderNamesTheCheck() throws {
        for file in [try independent(), try made(3)] {
            let rejects = try #require(file["reject"] as? [[String: Any]])
            for entry in rejects {
                let why = try #require(entry["why"] as? String)
                let packet = try #require((entry["packet"] as? String).flatMap(Hex.bytes))
                #expect(DecodedPacket(packet).flaw == Self.flaws[why], "\(why)")
            }
            for session in try #require(file["sessions"] as? [[String: Any]]) {
                let packets = try #require(session["packets"] as? [[String: Any]])
                for text in packets.compactMap({ $0["packet"] as? String })
                    + [session["hello"], session["welcome"]]
                    .compactMap({ $0 as? String })
                {
                    #expect(DecodedPacket(try #require(Hex.bytes(text))).flaw == nil)
                }
            }
        }
    }

    @Test func flagsOfHandshakesAreNamed() throws {
        let sessions = try #require(independent()["sessions"] as? [[String: Any]])
        let names = try sessions.map { session in
            try ["hello", "welcome"].map { name in
                let bytes = try #require((session[name] as? String).flatMap(Hex.bytes))
                return DecodedPacket(bytes).header?.flagNames ?? ["none"]
            }
        }
        #expect(names == [[[], []], [[], []], [["EVOLVING"], []], [["STREAM"], ["STREAM"]]])
        let hello = try #require((sessions[3]["hello"] as? String).flatMap(Hex.bytes))
        #expect(DecodedPacket(hello).line(size: hello.count).hasPrefix("HELLO STREAM epoch 0"))
        #expect(PacketFlags(rawValue: 0x91).names(in: .hello) == ["STREAM", "0x11"])
        #expect(PacketFlags(rawValue: 0x91).names(in: .data) == ["ACK_REQ", "0x90"])
    }

    /// A fixed credential has no later epoch; compact framing is for datagrams.
    @Test func handshakesThatContradictThemselvesAreNamed() throws {
        let sessions = try #require(independent()["sessions"] as? [[String: Any]])
        func hello(_ session: Int) throws -> [UInt8] {
            try #require((sessions[session]["hello"] as? String).flatMap(Hex.bytes))
        }
        var bytes = try hello(2)
        bytes[1] = 0
        #expect(DecodedPacket(bytes).flaw == .epoch)
        bytes = try hello(3)
        bytes[1] |= 1
        #expect(DecodedPacket(bytes).flaw == .flags)
        bytes[1] = 0x20
        #expect(DecodedPacket(bytes).flaw == .flags)
    }

    @Test func termsOutOfRangeAreNamed() throws {
        let packets = try Traffic.session()
        for (index, packet) in packets.prefix(2).enumerated() {
            var bytes = packet.bytes
            // reach: after the nonce, and in a HELLO the device id.
            bytes[16 + 16 + (index == 0 ? 8 : 0)] = 3
            #expect(DecodedPacket(bytes).flaw == .terms)
        }
    }
}
