import Ouroboros
import Testing

@testable import OuroborosAnalysis

/// Sessions over TCP.
@Suite struct StreamTests {
    /// Both directions in segments of a size, the client's reordered if that is asked for.
    private func frames(
        _ packets: [Traffic.Packet], segment size: Int, isReordered: Bool = false, port: UInt16 = 5700
    ) -> [Frame] {
        var frames = [
            Frames.tcp([], isUp: true, sequence: 0xffff_ffc0, flags: 2, serverPort: port),
            Frames.tcp([], isUp: false, sequence: 500, flags: 0x12, serverPort: port),
        ]
        var next: [Bool: UInt32] = [true: 0xffff_ffc1, false: 501]
        for packet in packets {
            var parts: [Frame] = []
            for start in stride(from: 0, to: packet.bytes.count, by: size) {
                let part = Array(packet.bytes[start..<min(start + size, packet.bytes.count)])
                parts.append(
                    Frames.tcp(
                        part, isUp: packet.isUp, sequence: next[packet.isUp] ?? 0, time: packet.time,
                        serverPort: port))
                next[packet.isUp, default: 0] &+= UInt32(part.count)
            }
            frames += isReordered ? parts.reversed() + parts.prefix(1) : parts
        }
        return frames
    }

    private func analyze(_ frames: [Frame]) -> (reports: [PacketReport], summary: Summary) {
        var keys = KeyRing()
        keys.add(.fixed(device: Traffic.device, rootKey: Traffic.root))
        var options = Analyzer.Options()
        options.showsBodies = true
        var analyzer = Analyzer(options: options, keys: keys)
        let reports = frames.flatMap { analyzer.take($0) }
        return (reports, analyzer.summary)
    }

    @Test(arguments: [1, 7, 50, 4000], [false, true])
    func packetsAreCutOutOfSegments(size: Int, isReordered: Bool) throws {
        let packets = try Traffic.session(isStream: true)
        let result = analyze(frames(packets, segment: size, isReordered: isReordered, port: 7000))
        #expect(result.reports.count == packets.count)
        #expect(result.reports.allSatisfy { $0.isStream && $0.anomalies.isEmpty })
        #expect(result.summary.opened == UInt64(packets.count - 2))
        let texts = result.reports.filter { $0.packet.header?.type == .data }
            .compactMap { $0.body?.contents.first.map { String(decoding: $0, as: UTF8.self) } }
        #expect(texts == ["first", "second", "third", "down"])
    }

    @Test func anotherProtocolIsLeftAlone() {
        let request = Array("GET / HTTP/1.1\r\nHost: example\r\n\r\n".utf8)
        let result = analyze([Frames.tcp(request, isUp: true, sequence: 1)])
        #expect(result.reports.isEmpty)
    }

    @Test func aStreamThatBreaksIsNamed() throws {
        let packets = try Traffic.session(isStream: true)
        var frames = frames(Array(packets.prefix(3)), segment: 4000)
        frames.append(Frames.tcp([0xff, 0xff], isUp: false, sequence: 501 + UInt32(packets[1].bytes.count)))
        let result = analyze(frames)
        #expect(result.reports.last?.anomalies.map(\.kind) == [.malformed])
    }
}
