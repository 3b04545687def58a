import Testing

@testable import Ouroboros

/// A ``Session`` speaks the protocol that links speak, without what needs a clock.
@Suite struct SessionInteropTests {
    private let now: UInt64 = 1_000_000
    private let credential = Credential.evolving(device: Pair.device, key: .random())

    private func packets(of link: Link) throws -> [[UInt8]] {
        var packets: [[UInt8]] = []
        while try link.transmit(now: now, { packet, _ in packets.append(Array(packet)) }) {}
        return packets
    }

    private func events(of link: Link) throws -> [LinkEvent] {
        var events: [LinkEvent] = []
        while let event = try link.nextEvent() {
            if case .epochMoved = event { link.epochSaved() }
            events.append(event)
        }
        return events
    }

    private var address: PeerAddress { [UInt8](arrayLiteral: 4, 1, 2).withUnsafeBytes { PeerAddress($0) } }

    private func give(
        _ packet: [UInt8], to link: Link, from source: PeerAddress? = nil
    ) throws -> [LinkEvent] {
        var packet = packet
        let receipt = packet.withUnsafeMutableBytes { link.receive($0, from: source, now: now) }
        guard case .taken = receipt else { throw SessionPair.Unexpected(step: "\(receipt)") }
        return try events(of: link)
    }

    private func payloads(_ events: [LinkEvent]) -> [[UInt8]] {
        events.compactMap { if case .message(let message) = $0 { message.payload } else { nil } }
    }

    private func isClosed(_ events: [LinkEvent]) -> Bool {
        events.contains { if case .closed(.shutdown, byPeer: true, missing: 0) = $0 { true } else { false } }
    }

    @Test func aLinkHasASessionForItsServer() throws {
        let link = try Link(client: credential)
        link.setRoom(free: 64, capacity: 64)
        let server = try ServerHandshake(credential)
        try link.connect(now: now)
        _ = try events(of: link)
        let hello = try #require(packets(of: link).first)
        _ = try give(SessionPair.sent(server.receive(hello)), to: link)

        // It has nothing to say yet, and asks whether the server is there.
        let ping = try #require(packets(of: link).first)
        let (session, first) = try SessionPair.session(server.receive(ping), server.epochSaved)
        guard case .answer(let pong) = first else {
            Issue.record("a PING was not answered: \(first)")
            return
        }
        _ = try give(pong, to: link)
        #expect(link.isOpen)
        // The row of short sessions is the client's alone.
        #expect(link.credential?.epoch == server.credential.epoch)
        #expect(link.credential?.key == server.credential.key)

        _ = try link.send(OutgoingMessage([1, 2], delivery: .unreliable), now: now)
        let message = try #require(packets(of: link).first)
        #expect(try session.open(message).payloads == [[1, 2]])
        #expect(try payloads(give(session.seal([3]), to: link)) == [[3]])

        // What is reliable comes as well: that it is not acknowledged is the caller's to know.
        _ = try link.send(OutgoingMessage([4]), now: now)
        let reliable = try packets(of: link)
        #expect(try reliable.compactMap { try session.open($0).payloads } == [[[4]]])

        _ = try give(session.close(reason: .shutdown), to: link)
        #expect(try packets(of: link).count == 1)
        #expect(try isClosed(events(of: link)))
    }

    /// A session at an acceptor, with the acceptor's link.
    private func atAcceptor(
        challenged: Bool = false
    ) throws -> (session: Session, link: Link, events: [LinkEvent]) {
        let acceptor = try Acceptor(configuration: .init(), now: now)
        let device = AcceptedDevice(credential, acceptor: acceptor)
        let pool = try PlacePool(places: 8)
        let client = try ClientHandshake(credential)
        func answer(_ hello: [UInt8]) throws -> [UInt8] {
            let answer = try hello.withUnsafeBytes {
                try acceptor.answer(hello: $0, of: device, link: nil, now: now) { _ in false }
            }
            guard case .welcome(let welcome, nil) = answer else {
                throw SessionPair.Unexpected(step: "\(answer)")
            }
            return welcome
        }
        if challenged {
            for _ in 0..<4 { _ = try answer(ClientHandshake(credential).hello) }
            let plain = client.hello
            guard case .send(let hello) = try client.receive(answer(plain)) else {
                throw SessionPair.Unexpected(step: "no challenge")
            }
            #expect(hello == client.hello && hello.count == 76 && plain.count == 60)
            #expect(hello[24..<40] == plain[24..<40])
        }
        let session = try SessionPair.session(client.receive(answer(client.hello)), client.epochSaved)
        var packet = try session.seal([9])
        let link = try Link(serverWith: pool)
        link.setRoom(free: 64, capacity: 64)
        let confirmation = try packet.withUnsafeMutableBytes {
            try acceptor.confirm(
                sessionID: session.id, packet: $0, from: address, device: device, now: now
            ) { () throws(OuroborosError) in link }
        }
        guard case .confirmed(let moved) = confirmation else {
            throw SessionPair.Unexpected(step: "\(confirmation)")
        }
        #expect(moved?.epoch == 1)
        link.epochSaved()
        return (session, link, try events(of: link))
    }

    @Test(arguments: [false, true])
    func aSessionHasALinkForItsServer(challenged: Bool) throws {
        let (session, link, events) = try atAcceptor(challenged: challenged)
        #expect(payloads(events) == [[9]])
        link.done(sessionID: session.id, counter: 0)
        _ = try link.send(OutgoingMessage([1], delivery: .unreliable), now: now)
        let packets = try packets(of: link)
        #expect(try packets.compactMap { try session.open($0).payloads } == [[[1]]])
        #expect(try payloads(give(session.seal([2]), to: link, from: address)) == [[2]])
        link.done(sessionID: session.id, counter: 1)

        try link.close(reason: .shutdown, atOnce: true, now: now)
        let last = try #require(try self.packets(of: link).last)
        #expect(try session.open(last) == .closed(reason: .shutdown, missing: 0))
        _ = try give(session.close(), to: link, from: address)
        #expect(link.isClosed)
    }

    @Test func aThirdChallengeIsOneTooMany() throws {
        let client = try ClientHandshake(credential)
        for challenges in 1...3 {
            // A server that challenges whatever it is sent.
            let acceptor = try Acceptor(configuration: .init(), now: now)
            let device = AcceptedDevice(credential, acceptor: acceptor)
            var welcome: [UInt8] = []
            for hello in try (0..<4).map({ _ in try ClientHandshake(credential).hello }) + [client.hello] {
                let answer = try hello.withUnsafeBytes {
                    try acceptor.answer(hello: $0, of: device, link: nil, now: now) { _ in false }
                }
                if case .welcome(let packet, _) = answer { welcome = packet }
            }
            let step = try client.receive(welcome)
            #expect(step.reason == (challenges < 3 ? nil : .limit))
        }
    }
}
