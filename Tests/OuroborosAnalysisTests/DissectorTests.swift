import Foundation
import Ouroboros
import OuroborosText
import Testing

@testable import OuroborosAnalysis

/// The Lua dissector in Debian's tshark, on the engine's own traffic. `make setup-check` installs tshark.
@Suite(.timeLimit(.minutes(2))) struct DissectorTests {
    private static let script: String = {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
        return root.appendingPathComponent("Sources/Wireshark/ouroboros.lua").path
    }()

    /// A line a frame, with the values of the fields; `|` lies between them.
    private func tshark(_ frames: [Frame], _ fields: [String], _ more: [String] = []) throws -> [[String]] {
        let path = NSTemporaryDirectory() + "/ouroboros-\(UUID().uuidString).pcap"
        defer { try? FileManager.default.removeItem(atPath: path) }
        try Data(Frames.pcap(frames)).write(to: URL(fileURLWithPath: path))
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/tshark")
        process.arguments =
            ["-X", "lua_script:" + Self.script, "-r", path, "-T", "fields", "-E", "separator=|"] + more
            + fields.flatMap { ["-e", $0] }
        let (output, errors) = (Pipe(), Pipe())
        process.standardOutput = output
        process.standardError = errors
        try process.run()
        let data = output.fileHandleForReading.readDataToEndOfFile()
        let complaints = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == 0, "\(complaints)")
        #expect(!complaints.contains("Lua"), "\(complaints)")
        return String(decoding: data, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
            .dropLast().map { $0.split(separator: "|", omittingEmptySubsequences: false).map(String.init) }
    }

    private static let fields = [
        "ouroboros.type", "ouroboros.flags", "ouroboros.length", "ouroboros.session", "ouroboros.counter",
        "ouroboros.epoch", "ouroboros.device", "ouroboros.malformed",
    ]

    /// The same, as the engine's decoder has it.
    private func expected(_ packet: [UInt8]) throws -> [String] {
        let decoded = DecodedPacket(packet)
        let header = try #require(decoded.header)
        let isHandshake = header.type?.isHandshake == true
        return [
            "\(header.typeNumber)", "0x" + Hex.string(UInt64(header.flags.rawValue), digits: 2),
            "\(header.length)", "0x" + Hex.string(UInt64(header.sessionID), digits: 8),
            isHandshake ? "" : "\(header.counter)", isHandshake ? "\(header.counter)" : "",
            decoded.hello.map { "\($0.device)" } ?? "", decoded.flaw?.text ?? "",
        ]
    }

    @Test(arguments: [UInt16(5700), 9999]) func fieldsAreThoseOfTheEngine(port: UInt16) throws {
        // On another port the HELLO is found by its looks.
        let packets = try Traffic.session()
        let frames = packets.map { Frames.udp($0, serverPort: port) }
        #expect(try tshark(frames, Self.fields) == packets.map { try expected($0.bytes) })
    }

    @Test func ackRequestsCanBeFiltered() throws {
        let packets = try Traffic.session()
        let found = try tshark(
            packets.map { Frames.udp($0) }, ["ouroboros.counter"], ["-Y", "ouroboros.flags.ack_req == 1"])
        let asking = packets.compactMap { DecodedPacket($0.bytes).header }
            .filter { $0.flags.contains(.ackRequest) }
        #expect(found == asking.map { ["\($0.counter)"] })
    }

    @Test func flagsOfHandshakesAreShown() throws {
        let fields = ["ouroboros.flags.stream", "ouroboros.flags.evolving", "ouroboros.flags.ack_req"]
        let packets = try Traffic.session(credential: .evolving(device: Traffic.device, key: Traffic.root))
        let shown = try tshark(packets.prefix(3).map { Frames.udp($0) }, fields)
        #expect(
            shown.prefix(2).map { $0.map { $0.lowercased() } }
                .map { $0.map { ["true": "1", "false": "0"][$0] ?? $0 } } == [
                    ["0", "1", ""], ["0", "0", ""],
                ])
        #expect(shown[2][0].isEmpty && shown[2][1].isEmpty && !shown[2][2].isEmpty)
    }

    @Test func malformedPacketsAreToldAsTheEngineTellsThem() throws {
        let data = try #require(
            JSONSerialization.jsonObject(with: Data(VectorFile(seed: 5).text.utf8)) as? [String: Any])
        let rejects = try #require(data["reject"] as? [[String: Any]])
        var packets = rejects.compactMap { ($0["packet"] as? String).flatMap(Hex.bytes) }
        var terms = try Traffic.session()[1].bytes
        terms[32] = 3
        packets.append(terms)
        // What contradicts itself, and what does not, in the flags of a handshake.
        let hello = try Traffic.session()[0].bytes
        for (flags, epoch) in [(0x00, 1), (0x40, 1), (0x81, 0), (0x05, 0), (0x15, 0), (0x04, 0), (0x20, 0)] {
            var packet = hello
            (packet[1], packet[15]) = (UInt8(flags), UInt8(epoch))
            packets.append(packet)
        }
        // tshark calls no dissector for nothing.
        packets.removeAll(where: \.isEmpty)
        let frames = packets.map { Frames.udp(.init(bytes: $0, isUp: true, time: 0), on: .raw) }
        let found = try tshark(frames, ["ouroboros.malformed", "ouroboros.malformed.expert"])
        #expect(found.map { $0[0] } == packets.map { DecodedPacket($0).flaw?.text ?? "" })
        #expect(found.allSatisfy { $0[0].isEmpty == $0[1].isEmpty })
        #expect(found.count { !$0[0].isEmpty } > 15)
    }

    @Test(arguments: [10, 4000], [UInt16(5700), 47_001]) func streamsAreReassembled(size: Int, port: UInt16)
        throws
    {
        let packets = try Traffic.session(isStream: true)
        var frames = [
            Frames.tcp([], isUp: true, sequence: 99, flags: 2, serverPort: port),
            Frames.tcp([], isUp: false, sequence: 499, flags: 0x12, serverPort: port),
        ]
        var next: [Bool: UInt32] = [true: 100, false: 500]
        // In segments of a size; with the large one all that a side sends in a row is one segment.
        var runs: [(isUp: Bool, bytes: [UInt8])] = []
        for packet in packets {
            if runs.last?.isUp == packet.isUp, size > 1000 {
                runs[runs.count - 1].bytes += packet.bytes
            } else {
                runs.append((packet.isUp, packet.bytes))
            }
        }
        for run in runs {
            for start in stride(from: 0, to: run.bytes.count, by: size) {
                let part = Array(run.bytes[start..<min(start + size, run.bytes.count)])
                frames.append(
                    Frames.tcp(part, isUp: run.isUp, sequence: next[run.isUp] ?? 0, serverPort: port))
                next[run.isUp, default: 0] += UInt32(part.count)
            }
        }
        // The looks of a HELLO that comes in pieces are not seen: on another port it takes a whole one.
        guard port == 5700 || size > 1000 else { return }
        let types = try tshark(frames, ["ouroboros.type"]).flatMap {
            $0[0].split(separator: ",").map(String.init)
        }
        #expect(types == packets.compactMap { DecodedPacket($0.bytes).header.map { "\($0.typeNumber)" } })
        #expect(try tshark(frames, ["ouroboros.malformed"]).allSatisfy { $0 == [""] })
    }
}
