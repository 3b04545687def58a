import COuroboros
import Testing

@testable import Ouroboros

/// Packets that a ``Session`` takes and never seals by itself.
@Suite struct SessionControlTests {
    /// A packet of the engine's, in a session that goes on.
    private func packet(
        _ session: Session, _ type: ouro_type, _ body: [UInt8], flags: Int = 0
    ) throws -> [UInt8] {
        var packet = [UInt8](repeating: 0, count: 16) + body + [UInt8](repeating: 0, count: 16)
        var counter: UInt64 = 0
        let status = ouro_session_protect(
            session.raw, UInt8(type.rawValue), UInt8(flags), &packet, body.count, &counter)
        try OuroborosError.check(status, "making a packet")
        return packet
    }

    /// Highest and bitmap.
    private func acks(_ highest: UInt64) -> [UInt8] {
        withUnsafeBytes(of: highest.bigEndian) { Array($0) } + [UInt8](repeating: 0, count: 8)
    }

    private func close(_ session: Session, reason: UInt8, sent: UInt8) throws -> [UInt8] {
        try packet(session, OURO_CLOSE, [reason, 0, 0, 0, 0, 0, 0, 0, sent])
    }

    @Test func aPingIsAnswered() throws {
        let pair = try SessionPair.fixed()
        let ping = try packet(pair.client, OURO_PING, [1, 2, 3])
        guard case .answer(let pong) = try pair.server.open(ping) else {
            Issue.record("a PING was not answered")
            return
        }
        #expect(pong.count == 35 && pong[0] == 0x15)
        #expect(try pair.client.open(pong) == .control)
        #expect(try pair.server.open(ping).reason == .replay)
    }

    @Test func aPingWhoseAnswerWouldNotFitGetsNone() throws {
        var small = Session.Configuration()
        small.maxBody = 64
        let pair = try SessionPair(
            .fixed(device: Pair.device, rootKey: .random()), .init(), client: small)
        for (count, isAnswered) in [(48, true), (49, false)] {
            let ping = try packet(pair.client, OURO_PING, [UInt8](repeating: 1, count: count))
            let opened = try pair.server.open(ping)
            #expect((opened == .control) != isAnswered, "\(opened)")
        }
    }

    @Test func aBodyAboveOnesOwnLimitIsDropped() throws {
        var small = Session.Configuration()
        small.maxBody = 64
        let pair = try SessionPair.fixed(small)
        let large = try packet(pair.client, OURO_DATA, [UInt8](repeating: 1, count: 65))
        #expect(try pair.server.open(large).reason == .malformed)
        let largest = try packet(pair.client, OURO_DATA, [UInt8](repeating: 1, count: 64))
        #expect(try pair.server.open(largest).payloads?.count == 1)
    }

    @Test func nearTheirEndControlCountersAreForClosing() throws {
        let pair = try SessionPair.fixed()
        pair.server.raw.pointee.tail.tx_control_next = UInt64(1) << 32 - UInt64(1) << 16
        #expect(try pair.server.open(packet(pair.client, OURO_PING, [])) == .control)
        #expect(try pair.client.open(pair.server.close()) == .closed(reason: .normal, missing: 0))
    }

    @Test func acknowledgementsMeanNothing() throws {
        let pair = try SessionPair.fixed()
        let ack = try packet(pair.server, OURO_ACK, acks(0), flags: OURO_FLAG_ACKS)
        #expect(try pair.client.open(ack) == .control)
        let busy = try packet(pair.server, OURO_NACK, acks(0) + [2], flags: OURO_FLAG_ACKS)
        #expect(try pair.client.open(busy) == .control)
        let withMessage = try packet(pair.server, OURO_DATA, acks(0) + [7], flags: OURO_FLAG_ACKS)
        #expect(try pair.client.open(withMessage).payloads == [[7]])
        // One that names what was never sealed is against the protocol.
        let unused = try packet(pair.server, OURO_ACK, acks(1), flags: OURO_FLAG_ACKS)
        #expect(try pair.client.open(unused).reason == .nonsense)
        #expect(try pair.server.open(pair.client.seal([1])).payloads == [[1]])
    }

    @Test func aMessageTellsItsPlaceInAnOutbox() throws {
        let pair = try SessionPair.fixed()
        let once = try packet(pair.client, OURO_DATA, [0, 0, 0, 5, 0, 0, 0, 6, 9], flags: OURO_FLAG_ONCE)
        guard case .messages(let messages) = try pair.server.open(once) else {
            Issue.record("a message with its place did not open")
            return
        }
        #expect(messages.map(\.payload) == [[9]])
        #expect(messages.first?.position == OutboxPosition(box: 5, sequence: 6))
    }

    @Test func anAnswerToCloseHasItsReason() throws {
        let pair = try SessionPair.fixed()
        let opened = try pair.server.open(close(pair.client, reason: 3, sent: 4))
        #expect(opened == .closed(reason: .shutdown, missing: 3))
        let answer = try pair.server.close(reason: .idle)
        #expect(try pair.client.open(answer) == .closed(reason: .shutdown, missing: 0))
    }

    @Test func whatCloseTellsIsNotTrusted() throws {
        let pair = try SessionPair.fixed()
        // An unknown reason counts as none; fewer messages than came are none that are missing.
        #expect(
            try pair.server.open(close(pair.client, reason: 77, sent: 0))
                == .closed(reason: .normal, missing: 0))
    }

    @Test func whatOpensConfirmsWhateverItIs() throws {
        let credential = Credential.fixed(device: Pair.device, rootKey: .random())
        for isClose in [false, true] {
            let client = try ClientHandshake(credential)
            let server = try ServerHandshake(credential)
            let welcome = try SessionPair.sent(server.receive(client.hello))
            let session = try SessionPair.session(client.receive(welcome), client.epochSaved)
            let first =
                isClose
                ? try close(session, reason: 0, sent: 0)
                : try packet(session, OURO_ACK, acks(9), flags: OURO_FLAG_ACKS)
            let (_, opened) = try SessionPair.session(server.receive(first), server.epochSaved)
            #expect(opened == (isClose ? .closed(reason: .normal, missing: 0) : .dropped(.nonsense)))
        }
    }

    @Test func aStreamBringsControlPacketsInOrder() throws {
        for fault in 0..<3 {
            let pair = try SessionPair.fixed(Session.Configuration().overStream)
            let first = try packet(pair.server, OURO_PING, [])
            switch fault {
            case 0:
                guard case .answer = try pair.client.open(first) else {
                    Issue.record("a PING was not answered")
                    return
                }
                #expect(try pair.client.open(first).reason == .replay)
            case 1:
                #expect(try pair.client.open(packet(pair.server, OURO_PING, [])).reason == .replay)
            default:
                _ = try pair.client.open(first)
                let nack = try packet(pair.server, OURO_NACK, acks(0) + [1], flags: OURO_FLAG_ACKS)
                #expect(try pair.client.open(nack).reason == .replay)
            }
            #expect(pair.client.isClosed)
        }
    }
}
