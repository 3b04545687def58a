import Ouroboros
import Testing

@testable import OuroborosAnalysis

/// Files that are whole, cut, or made to do harm.
@Suite struct CaptureTests {
    private func frames() throws -> [Frame] {
        var next: [Bool: UInt32] = [:]
        let streamed = try Traffic.session(isStream: true).map { packet in
            let sequence = next[packet.isUp, default: 1]
            next[packet.isUp] = sequence + UInt32(packet.bytes.count)
            return Frames.tcp(packet.bytes, isUp: packet.isUp, sequence: sequence)
        }
        return try Traffic.session().map { Frames.udp($0) } + streamed
    }

    private func ring() -> KeyRing {
        var keys = KeyRing()
        keys.add(.fixed(device: Traffic.device, rootKey: Traffic.root))
        return keys
    }

    /// Everything that `ouroboros analyze` does with a file; the number of reports.
    @discardableResult private func analyze(_ file: [UInt8]) -> (reports: Int, problem: String?) {
        guard let capture = try? Capture.open(bytes: file) else { return (0, "no capture") }
        var options = Analyzer.Options()
        options.showsBodies = true
        var analyzer = Analyzer(options: options, keys: ring())
        var count = 0
        while true {
            switch capture.next() {
            case .frame(let frame):
                for report in analyzer.take(frame) {
                    count += 1
                    _ = report.packet.line(size: report.size) + report.time.text + "\(report.source)"
                    _ = report.anomalies.map(\.text)
                }
            case .quiet: continue
            case .end:
                _ = analyzer.summary.fromClients.loss
                return (count, capture.problem)
            }
        }
    }

    @Test func bothFormatsAreRead() throws {
        let frames = try Traffic.session().map { Frames.udp($0) }
        for file in [Frames.pcap(frames), Frames.pcapng(frames)] {
            let result = analyze(file)
            #expect(result.reports == frames.count)
            #expect(result.problem == nil)
        }
        #expect(throws: OuroborosError.self) { try Capture.open(bytes: []) }
        #expect(throws: OuroborosError.self) { try Capture.open(file: "/nowhere/at/all") }
    }

    @Test func everyPrefixEndsWell() throws {
        let frames = try frames()
        for file in [Frames.pcap(frames), Frames.pcapng(frames)] {
            let whole = analyze(file).reports
            #expect(whole > 20)
            for count in file.indices {
                let result = analyze(Array(file.prefix(count)))
                #expect(result.reports <= whole)
            }
        }
    }

    @Test func flippedBitsEndWell() throws {
        let frames = try frames()
        var random = SystemRandomNumberGenerator()
        for file in [Frames.pcap(frames), Frames.pcapng(frames)] {
            for index in file.indices {
                var damaged = file
                damaged[index] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                analyze(damaged)
            }
        }
    }

    @Test func randomBytesEndWell() throws {
        var random = SystemRandomNumberGenerator()
        let header = Frames.pcap([])
        for layer in Frames.Layer.allCases {
            for _ in 0..<500 {
                let count = Int.random(in: 0..<400, using: &random)
                let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
                analyze(bytes)
                analyze(header + bytes)
                var analyzer = Analyzer()
                _ = analyzer.take(
                    Frame(time: CaptureTime(microseconds: .max), linkType: layer.rawValue, bytes: bytes))
            }
        }
    }

    /// Each frame's own bytes are changed, so that more gets past libpcap and the headers.
    @Test func damagedPacketsEndWell() throws {
        let frames = try frames()
        var random = SystemRandomNumberGenerator()
        for _ in 0..<300 {
            var analyzer = Analyzer(keys: ring())
            for frame in frames {
                var bytes = frame.bytes
                for _ in 0..<Int.random(in: 0...3, using: &random) where !bytes.isEmpty {
                    let index = Int.random(in: min(14, bytes.count - 1)..<bytes.count, using: &random)
                    bytes[index] = UInt8.random(in: 0...255, using: &random)
                }
                if Int.random(in: 0..<8, using: &random) == 0 {
                    bytes = Array(bytes.prefix(Int.random(in: 0...bytes.count, using: &random)))
                }
                _ = analyzer.take(Frame(time: frame.time, linkType: frame.linkType, bytes: bytes))
            }
            _ = analyzer.summary
        }
    }

    /// What a flood of forged sessions and HELLOs makes it keep is bounded, and it stays quick.
    @Test func aFloodIsBounded() throws {
        let packets = try Traffic.session()
        let data = try #require(packets.first { DecodedPacket($0.bytes).header?.type == .data })
        var analyzer = Analyzer(keys: ring())
        for number in 0..<40_000 {
            var packet = data
            packet.bytes.replaceSubrange(4..<8, with: [UInt8](bigEndian: UInt32(number + 1)))
            _ = analyzer.take(Frames.udp(packet))
            var hello = packets[0]
            hello.bytes[1] = PacketFlags.evolving.rawValue
            hello.bytes.replaceSubrange(8..<16, with: [UInt8](bigEndian: UInt64.random(in: 0...UInt64.max)))
            _ = analyzer.take(Frames.udp(hello, clientPort: UInt16(truncatingIfNeeded: number)))
        }
        #expect(analyzer.sessions.count <= 16_384)
        #expect(analyzer.summary.hellos == 40_000)
    }

    @Test func timesOfAnyValueArePrinted() {
        for time in [Int64.min, -1, 0, 1, .max] {
            #expect(!CaptureTime(microseconds: time).text.isEmpty)
        }
        #expect(CaptureTime(microseconds: 1).text == "1970-01-01T00:00:00.000001Z")
        #expect(CaptureTime(microseconds: -1).text == "1969-12-31T23:59:59.999999Z")
    }
}
