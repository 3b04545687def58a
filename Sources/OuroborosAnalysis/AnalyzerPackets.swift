internal import COuroboros
import Ouroboros

/// From a packet to what it means for its session.
extension Analyzer {
    mutating func examine(_ bytes: [UInt8], _ report: inout PacketReport) {
        if let flaw = report.packet.flaw {
            sums.flaws[flaw, default: 0] += 1
            report.note(.malformed, flaw.text)
            return
        }
        switch report.packet.handshake {
        case .hello(let hello): examine(hello, bytes, &report)
        case .welcome(let welcome): examine(welcome, bytes, &report)
        case nil:
            if let header = report.packet.header { examine(header, bytes, &report) }
        }
    }

    // MARK: Handshakes

    private mutating func examine(_ hello: Hello, _ bytes: [UInt8], _ report: inout PacketReport) {
        report.isFromClient = true
        report.device = hello.device
        noteServer(report.destination)
        let novelty = hellos.add(
            .init(
                packet: bytes, hello: hello, source: report.source, destination: report.destination,
                time: report.time))
        switch novelty {
        case .new: sums.hellos += 1
        case .again:
            sums.hellosAgain += 1
            report.note(.retransmission)
        case .elsewhere(let first):
            sums.hellosAgain += 1
            report.note(.replay, "the same bytes came from \(first)")
        }
        if keys.verifies(bytes, hello) == false {
            report.note(.forged, "the HELLO's tag does not verify under the key of the device")
        }
    }

    private mutating func examine(_ welcome: Welcome, _ bytes: [UInt8], _ report: inout PacketReport) {
        report.isFromClient = false
        let known = sessions[welcome.sessionID]
        if !welcome.isChallenge, known?.welcome == bytes {
            report.device = known?.device
            report.note(.retransmission)
            return
        }
        guard
            let asked = hellos.answer(from: report.source, to: report.destination, epoch: welcome.epoch)
        else {
            report.note(.unasked, "its HELLO is not in the capture")
            return
        }
        report.device = asked.hello.device
        if asked.copies == 1 { sums.handshakeTimes.add(report.time.since(asked.time)) }
        guard !welcome.isChallenge else {
            sums.challenges += 1
            return
        }
        let session = TrackedSession(
            id: welcome.sessionID, device: asked.hello.device, welcome: bytes, server: report.source,
            client: report.destination)
        switch keys.session(asked.packet, asked.hello, bytes, welcome) {
        case .keys(let found): session.opener = try? SessionOpener(found, isStream: report.isStream)
        case .forged:
            report.note(.forged, "the WELCOME does not answer its HELLO under the key of the device")
            return
        case .none: break
        }
        sums.handshakes += 1
        add(session)
    }

    // MARK: Packets of a session

    private mutating func session(_ header: PacketHeader, _ report: inout PacketReport) -> TrackedSession {
        if let known = sessions[header.sessionID] { return known }
        sums.unknownSessions += 1
        report.note(.unknownSession, "its handshake is not in the capture")
        // Who is the server: the one at the port of gateways, else the one with the lower port.
        let (source, destination) = (report.source, report.destination)
        let isUp =
            destination.port == options.port
            || (source.port != options.port && destination.port <= source.port)
        let session = TrackedSession(
            id: header.sessionID, device: nil, welcome: nil, server: isUp ? destination : source,
            client: isUp ? source : destination)
        if let logged = keys.session(header.sessionID) {
            session.opener = try? SessionOpener(logged, isStream: report.isStream)
        }
        add(session)
        return session
    }

    private mutating func examine(_ header: PacketHeader, _ bytes: [UInt8], _ report: inout PacketReport) {
        guard let type = header.type else { return }
        let session = session(header, &report)
        let isUp = session.isFromClient(report.source, report.destination)
        report.isFromClient = isUp
        report.device = session.device
        let tag = Array(bytes.suffix(Int(OURO_TAG_SIZE)))
        let (verdict, isNewest) = session.with(isUp) { ($0.verdict(header, tag: tag), $0.isNewest(header)) }
        switch verdict {
        case .again(let first):
            noteCopy(of: first, header, session, isUp, &report)
            return
        case .conflict:
            report.note(.conflict, "counter \(header.counter) was used with other bytes")
        case .old: report.note(.replay, "its counter is below any window")
        case .ahead(let count): report.note(.ahead, "\(count) counters past the last")
        case .new, .gap, .late: break
        }
        guard let body = open(bytes, header, session, isUp, &report) else { return }
        if case .opened(let opened) = body, options.showsBodies { report.body = opened }
        // Without keys what cannot be true moves nothing; with them only what is authentic comes this far.
        if session.opener == nil {
            switch verdict {
            case .conflict, .old, .ahead: return
            case .new, .gap, .late, .again: break
            }
        }
        note(verdict, &report)
        let sighting = CounterTrack.Sighting(
            tag: tag, time: report.time, source: report.source,
            asksForAck: header.flags.contains(.ackRequest))
        session.with(isUp) { $0.add(header, sighting) }
        follow(type, session, isUp: isUp, isNewest: isNewest, &report)
        if case .opened(let opened) = body { acknowledge(opened, session, isUp: isUp, &report) }
    }

    private mutating func noteCopy(
        of first: CounterTrack.Sighting, _ header: PacketHeader, _ session: TrackedSession, _ isUp: Bool,
        _ report: inout PacketReport
    ) {
        let after = "\(report.time.since(first.time) / 1000) ms after the first"
        let home = isUp ? session.client : session.server
        if home != report.source {
            report.note(.replay, "the same bytes from another address than the session's \(home): \(after)")
        } else if header.type == .data, first.asksForAck, !report.isStream {
            session.with(isUp) { $0.messages.addCopy(of: header.counter) }
            report.note(.retransmission, after)
        } else {
            report.note(.replay, "no sender sends this twice: \(after)")
        }
    }

    private func note(_ verdict: CounterTrack.Verdict, _ report: inout PacketReport) {
        switch verdict {
        case .gap(let count):
            report.note(.gap, count == 1 ? "1 counter was not seen" : "\(count) counters were not seen")
        case .late: report.note(.late)
        case .new, .again, .conflict, .old, .ahead: break
        }
    }

    private enum Opening {
        case noKeys
        case opened(OpenedBody)
        case senseless
    }

    /// Nil for what is not authentic.
    private mutating func open(
        _ bytes: [UInt8], _ header: PacketHeader, _ session: TrackedSession, _ isUp: Bool,
        _ report: inout PacketReport
    ) -> Opening? {
        guard let opener = session.opener else { return .noKeys }
        switch opener.open(bytes, header, isUp: isUp) {
        case .opened(let body):
            sums.opened += 1
            return .opened(body)
        case .senseless:
            report.note(.senseless, "it is authentic, and its body does not parse")
            return .senseless
        case .dropped(OURO_DROP_AUTH): report.note(.forged, "the tag does not verify")
        case .dropped(OURO_DROP_REPLAY), .dropped(OURO_DROP_DUPLICATE):
            if report.anomalies.isEmpty {
                report.note(.replay, "its counter is below the window, or was seen")
            }
        case .dropped(OURO_DROP_AHEAD):
            if report.anomalies.isEmpty { report.note(.ahead, "above the window") }
        case .dropped(let status): report.note(.forged, EngineStatus.name(status))
        }
        return nil
    }

    /// What a packet that counts says of its session.
    private mutating func follow(
        _ type: PacketType, _ session: TrackedSession, isUp: Bool, isNewest: Bool,
        _ report: inout PacketReport
    ) {
        if isUp, !session.isConfirmed {
            session.isConfirmed = true
            if session.welcome != nil { sums.confirmed += 1 }
        }
        if isUp, isNewest, report.source != session.client {
            report.note(.moved, "from \(session.client)")
            session.client = report.source
        }
        if session.up.hasClosed, session.down.hasClosed, type != .close {
            report.note(.closed, "both sides have sent CLOSE")
        }
        switch type {
        case .ping:
            // With two under way nobody can tell which one a PONG answers.
            session.with(isUp) { $0.ping = $0.ping == nil ? report.time : nil }
        case .pong:
            if let asked = session.with(!isUp, { $0.ping }) { sums.pingTimes.add(report.time.since(asked)) }
            session.with(!isUp) { $0.ping = nil }
        case .close: session.with(isUp) { $0.hasClosed = true }
        case .data, .ack, .nack, .hello, .welcome: break
        }
    }

    private mutating func acknowledge(
        _ body: OpenedBody, _ session: TrackedSession, isUp: Bool, _ report: inout PacketReport
    ) {
        guard let acks = body.acks else { return }
        guard let newest = session.with(!isUp, { $0.messages.highest }), acks.highest <= newest else {
            report.note(.unseen, "it acknowledges message \(acks.highest), which the capture does not hold")
            return
        }
        guard let sent = session.with(!isUp, { $0.messages.acknowledge(acks.highest) }) else { return }
        // Which copy of one that was sent again is meant, nobody knows (Karn's rule, RFC 6298 section 3).
        if sent.copies == 1, sent.asksForAck { sums.ackTimes.add(report.time.since(sent.time)) }
    }
}
