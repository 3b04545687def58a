import Ouroboros
import Testing

@testable import OuroborosAnalysis

/// Traffic of the engine, with and without what a network or an attacker does to it.
@Suite struct AnalyzerTests {
    private func analyze(
        _ frames: [Frame], keys: KeyRing = .init(), showsBodies: Bool = false
    ) -> (reports: [PacketReport], summary: Summary) {
        var options = Analyzer.Options()
        options.showsBodies = showsBodies
        var analyzer = Analyzer(options: options, keys: keys)
        let reports = frames.flatMap { analyzer.take($0) }
        return (reports, analyzer.summary)
    }

    private func kinds(_ report: PacketReport?) -> [Anomaly.Kind] {
        report?.anomalies.map(\.kind) ?? []
    }

    private var ring: KeyRing {
        var ring = KeyRing()
        ring.add(.evolving(device: Traffic.device, key: Traffic.root))
        return ring
    }

    @Test(arguments: Frames.Layer.allCases, [false, true])
    func aCleanSessionHasNoAnomalies(layer: Frames.Layer, isIPv6: Bool) throws {
        let packets = try Traffic.session()
        let (reports, summary) = analyze(packets.map { Frames.udp($0, on: layer, isIPv6: isIPv6) })
        #expect(reports.count == packets.count)
        #expect(reports.allSatisfy { $0.anomalies.isEmpty })
        #expect(reports.allSatisfy { $0.device == Traffic.device })
        #expect(zip(reports, packets).allSatisfy { $0.isFromClient == $1.isUp && $0.size == $1.bytes.count })
        #expect(reports[0].source.description == (isIPv6 ? "[2001:db8::c000:20a]:40000" : "192.0.2.10:40000"))
        #expect(summary.hellos == 1 && summary.handshakes == 1 && summary.confirmed == 1)
        #expect(summary.fromClients.messages == 3 && summary.fromServers.messages == 1)
        #expect(summary.fromClients.loss == 0 && summary.fromServers.loss == 0)
        #expect(summary.handshakeTimes.count == 1 && summary.handshakeTimes.average == 5000)
        #expect(summary.pingTimes.count >= 1)
        #expect(summary.others == 0 && summary.unanswered == 0)
    }

    @Test func bodiesAreOpenedWithKeysAndKeptOnlyWhenAskedFor() throws {
        let packets = try Traffic.session()
        let frames = packets.map { Frames.udp($0) }
        let opened = analyze(frames, keys: ring, showsBodies: true)
        let texts = opened.reports.filter { $0.packet.header?.type == .data }
            .compactMap { $0.body?.contents.first.map { String(decoding: $0, as: UTF8.self) } }
        #expect(texts == ["first", "second", "third", "down"])
        #expect(opened.reports.contains { $0.body?.acks?.highest == 2 })
        #expect(opened.summary.opened == UInt64(packets.count - 2))
        #expect(opened.summary.ackTimes.count > 0)
        let silent = analyze(frames, keys: ring)
        #expect(silent.summary.opened == opened.summary.opened)
        #expect(silent.reports.allSatisfy { $0.body == nil })
        #expect(analyze(frames, showsBodies: true).reports.allSatisfy { $0.body == nil })
    }

    @Test func aLaterEpochIsOpenedFromTheRootKey() throws {
        // The session of epoch 0 is not in the capture.
        var key = Traffic.root
        var keys = KeyRing()
        keys.add(.evolving(device: Traffic.device, key: key))
        let derived = keys.epochKey(of: Traffic.device, epoch: 7)
        key = try #require(derived)
        let packets = try Traffic.session(credential: .evolving(device: Traffic.device, epoch: 7, key: key))
        let result = analyze(packets.map { Frames.udp($0) }, keys: ring, showsBodies: true)
        #expect(result.summary.opened == UInt64(packets.count - 2))
        #expect(result.reports.allSatisfy { $0.anomalies.isEmpty })
        // An epoch that was left cannot be gone back to.
        var late = KeyRing()
        late.add(.evolving(device: Traffic.device, epoch: 8, key: key))
        #expect(analyze(packets.map { Frames.udp($0) }, keys: late).summary.opened == 0)
    }

    @Test func aKeyLogOpensWithoutTheHandshake() throws {
        let packets = try Traffic.session()
        let keys = try SessionKeys(
            hello: packets[0].bytes, welcome: packets[1].bytes, epochKey: Traffic.root, epoch: 0)
        var ring = KeyRing()
        let line = KeyLog.line(keys).withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
        func parse(_ text: String) throws -> [SessionKeys] {
            try Array(text.utf8).withUnsafeBytes { try KeyLog.parse($0) }
        }
        ring.add(try parse("# a comment\n\(line)OTHER 1 2\n"))
        let result = analyze(packets.dropFirst(2).map { Frames.udp($0) }, keys: ring, showsBodies: true)
        #expect(result.summary.opened == UInt64(packets.count - 2))
        #expect(result.summary.unknownSessions == 1)
        #expect(kinds(result.reports.first) == [.unknownSession])
        #expect(throws: OuroborosError.self) { try parse(line.dropLast() + "0") }
    }

    private func data(_ packets: [Traffic.Packet], _ number: Int) throws -> Int {
        let places = packets.indices.filter {
            let header = DecodedPacket(packets[$0].bytes).header
            return header?.type == .data && packets[$0].isUp && header?.counter == UInt64(number)
        }
        return try #require(places.first)
    }

    @Test(arguments: [false, true]) func retransmissionsAndReplaysAreToldApart(hasKeys: Bool) throws {
        var packets = try Traffic.session()
        let place = try data(packets, 1)
        var again = packets[place]
        again.time = packets[packets.count - 1].time + 1
        packets.append(again)
        // A PING is never sent twice.
        var ping = try #require(packets.first { DecodedPacket($0.bytes).header?.type == .ping })
        ping.time = again.time + 1
        packets.append(ping)
        let result = analyze(packets.map { Frames.udp($0) }, keys: hasKeys ? ring : .init())
        #expect(kinds(result.reports[packets.count - 2]) == [.retransmission])
        #expect(kinds(result.reports[packets.count - 1]) == [.replay])
        #expect(result.summary.fromClients.retransmissions == 1)
        #expect(result.summary.anomalies == [.retransmission: 1, .replay: 1])
    }

    /// Somebody who plays a packet from elsewhere; the device itself sends it again from where it is.
    @Test(arguments: [false, true]) func theSameBytesFromElsewhereAreAReplay(hasKeys: Bool) throws {
        let packets = try Traffic.session()
        var copies = [packets[0], packets[try data(packets, 1)]]
        for index in copies.indices { copies[index].time = (packets.last?.time ?? 0) + 1 + Int64(index) }
        let elsewhere = copies.map { Frames.udp($0, client: [198, 51, 100, 7]) }
        let frames = packets.map { Frames.udp($0) }
        let result = analyze(frames + elsewhere, keys: hasKeys ? ring : .init())
        #expect(result.reports.suffix(2).map(kinds) == [[.replay], [.replay]])
        #expect(result.summary.anomalies == [.replay: 2])
        #expect(result.summary.fromClients.retransmissions == 0 && result.summary.hellos == 1)
        // After the device has moved there, it is its own.
        let place = try data(packets, 2)
        var late = packets[try data(packets, 2)]
        late.time = (packets.last?.time ?? 0) + 1
        let moved = (packets + [late]).enumerated().map { index, packet in
            Frames.udp(packet, client: index < place ? Frames.client : [198, 51, 100, 7])
        }
        #expect(kinds(analyze(moved).reports.last) == [.retransmission])
    }

    @Test(arguments: [false, true]) func gapsAreNamedAndFilled(hasKeys: Bool) throws {
        var packets = try Traffic.session()
        let place = try data(packets, 1)
        let lost = packets.remove(at: place)
        let gap = analyze(packets.map { Frames.udp($0) }, keys: hasKeys ? ring : .init())
        #expect(kinds(gap.reports[try data(packets, 2)]).contains(.gap))
        #expect(gap.summary.fromClients.missingMessages == 1)
        #expect(gap.summary.fromClients.loss > 0)
        packets.insert(lost, at: try data(packets, 2) + 1)
        let filled = analyze(packets.map { Frames.udp($0) }, keys: hasKeys ? ring : .init())
        #expect(filled.summary.anomalies[.late] == 1)
        #expect(filled.summary.fromClients.missingMessages == 0)
    }

    /// A real receiver takes nothing that is more than 64 ahead; a capture may have missed so much.
    @Test func aLongHoleInTheCaptureIsFollowedOver() throws {
        let all = try Traffic.session(texts: (0..<400).map { "message \($0)" })
        let packets = all.filter { packet in
            guard let header = DecodedPacket(packet.bytes).header, header.type == .data, packet.isUp else {
                return true
            }
            return !(100..<350).contains(header.counter)
        }
        let result = analyze(packets.map { Frames.udp($0) }, keys: ring, showsBodies: true)
        #expect(result.summary.opened == UInt64(packets.count - 2))
        #expect(result.summary.fromClients.missingMessages == 250)
        let texts = result.reports.filter { $0.isFromClient == true }
            .compactMap { $0.body?.contents.first.map { String(decoding: $0, as: UTF8.self) } }
        #expect(texts.contains("message 350") && texts.contains("message 399"))
        // A forged counter moves nothing.
        var forged = packets[try data(packets, 350)]
        forged.bytes.replaceSubrange(8..<16, with: [UInt8](bigEndian: UInt64(9000)))
        let place = try data(packets, 360)
        var more = packets
        more.insert(forged, at: place)
        let second = analyze(more.map { Frames.udp($0) }, keys: ring)
        #expect(kinds(second.reports[place]).contains(.forged))
        #expect(second.summary.opened == result.summary.opened)
        #expect(second.summary.fromClients.missingMessages == 250)
    }

    @Test func aChangeOfAddressIsFollowed() throws {
        let packets = try Traffic.session()
        let place = try data(packets, 2)
        let frames = packets.enumerated().map { index, packet in
            Frames.udp(packet, client: index < place ? Frames.client : [198, 51, 100, 7])
        }
        let result = analyze(frames)
        #expect(kinds(result.reports[place]) == [.moved])
        #expect(result.summary.anomalies == [.moved: 1])
        #expect(result.reports.allSatisfy { $0.device == Traffic.device })
        #expect(result.summary.handshakes == 1 && result.summary.unknownSessions == 0)
    }

    @Test func forgedPacketsAreToldByKeys() throws {
        var packets = try Traffic.session()
        let place = try data(packets, 1)
        var forged = packets[place]
        forged.bytes[forged.bytes.count - 1] ^= 1
        packets.insert(forged, at: place)
        let result = analyze(packets.map { Frames.udp($0) }, keys: ring)
        #expect(kinds(result.reports[place]) == [.forged])
        #expect(result.reports[place + 1].anomalies.isEmpty)
        // Without keys the second of the two is the odd one.
        #expect(kinds(analyze(packets.map { Frames.udp($0) }).reports[place + 1]) == [.conflict])
        var hello = packets[0]
        hello.bytes[30] ^= 1
        #expect(kinds(analyze([Frames.udp(hello)], keys: ring).reports.first) == [.forged])
    }

    @Test func malformedPacketsNameTheCheck() throws {
        var packets = try Traffic.session()
        let place = try data(packets, 1)
        packets[place].bytes[1] |= 0x40
        let result = analyze(packets.map { Frames.udp($0) })
        #expect(kinds(result.reports[place]) == [.malformed])
        #expect(result.reports[place].packet.flaw == .flags)
        #expect(result.summary.flaws == [.flags: 1])
        let short = Traffic.Packet(bytes: [1, 2, 3], isUp: true, time: 0)
        #expect(analyze([Frames.udp(short)]).reports.first?.packet.flaw == .short)
        // Elsewhere it is somebody else's.
        #expect(analyze([Frames.udp(short, serverPort: 53)]).reports.isEmpty)
    }

    @Test func anotherPortIsFoundByItsHello() throws {
        let packets = try Traffic.session()
        let result = analyze(packets.map { Frames.udp($0, serverPort: 9999) })
        #expect(result.reports.count == packets.count)
        #expect(result.reports.allSatisfy { $0.anomalies.isEmpty })
    }

    @Test func aPacketThatTheCaptureCutIsNoMalformedOne() throws {
        let packets = try Traffic.session()
        let whole = Frames.udp(packets[0], on: .raw)
        let cut = Frame(
            time: whole.time, linkType: whole.linkType, bytes: Array(whole.bytes.prefix(60)),
            originalLength: whole.bytes.count)
        let result = analyze([cut])
        #expect(kinds(result.reports.first) == [.cut])
        #expect(result.reports.first?.size == 60)
    }

    @Test func copiesOfLoopbackCountOnce() throws {
        let packets = try Traffic.session()
        let frames = packets.flatMap { packet -> [Frame] in
            let frame = Frames.udp(packet, on: .cooked)
            return [UInt8(4), 0].map { direction in
                var bytes = frame.bytes
                bytes[1] = direction
                bytes.replaceSubrange(2..<4, with: [UInt8](bigEndian: UInt16(772)))
                return Frame(time: frame.time, linkType: frame.linkType, bytes: bytes)
            }
        }
        let result = analyze(frames)
        #expect(result.reports.count == packets.count)
        #expect(result.summary.anomalies.isEmpty)
    }
}
