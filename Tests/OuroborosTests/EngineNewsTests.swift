import Testing

@testable import Ouroboros

/// What the engine tells beside messages: stalled ones, sequences, kinds, transports, sessions that did not last.
@Suite struct EngineNewsTests {
    private func connected() throws -> Pair {
        let pair = try Pair.fixed()
        try pair.client.connect(now: pair.now)
        try pair.run()
        return pair
    }

    @Test func aMessageThatThePathDoesNotCarryIsToldOnce() throws {
        let pair = try connected()
        pair.largest = 600
        let large = try pair.client.send(
            OutgoingMessage([UInt8](repeating: 7, count: 1000)), now: pair.now)
        var sent = 0
        for _ in 0..<100 {
            _ = try? pair.client.send(OutgoingMessage([1]), now: pair.now)
            sent += 1
            try pair.advance(by: 5000)
        }
        try pair.advance(by: 600_000)
        #expect(pair.delivered >= 60, "of \(sent)")
        var told = 0
        var ends: [Bool] = []
        for event in pair.clientEvents {
            switch event {
            case .stalled(large, size: 1000): told += 1
            case .unknown(large, let isStalled): ends.append(isStalled)
            default: break
            }
        }
        #expect(told == 1)
        #expect(ends == [true])
        #expect(pair.client.statistics.stalled == 1)
    }

    @Test func aSequenceFarAheadIsRefusedUntilTheLowerOneIsSettled() throws {
        let pair = try connected()
        func send(_ sequence: UInt32) throws(OuroborosError) {
            _ = try pair.client.send(
                OutgoingMessage([1], position: OutboxPosition(box: 9, sequence: sequence)), now: pair.now)
        }
        pair.confirmsAtServer = false
        try send(0)
        try pair.run()
        let error = #expect(throws: OuroborosError.self) { try send(64) }
        #expect(error?.code == .sequence)
        // Its session ends: it may have arrived, and has to come again first.
        try pair.client.close(reason: .normal, atOnce: true, now: pair.now)
        try pair.run()
        #expect(
            pair.clientEvents.contains { if case .unknown(_, isStalled: false) = $0 { true } else { false } })
    }

    @Test func whatWillNotComeAgainHoldsNothingUp() throws {
        let pair = try connected()
        func send(_ sequence: UInt32) throws(OuroborosError) {
            _ = try pair.client.send(
                OutgoingMessage([1], position: OutboxPosition(box: 9, sequence: sequence)), now: pair.now)
        }
        pair.confirmsAtServer = false
        try send(0)
        try pair.run()
        let server = try #require(pair.server)
        try server.close(reason: .normal, atOnce: true, now: pair.now)
        try pair.run()
        let error = #expect(throws: OuroborosError.self) { try send(64) }
        #expect(error?.code == .sequence)
        pair.client.giveUp(OutboxPosition(box: 9, sequence: 0))
        try send(64)
    }

    @Test func aCredentialOfTheOtherKindIsToldApart() throws {
        let key = SecretKey.random()
        for isFixedHere in [true, false] {
            let fixed = Credential.fixed(device: Pair.device, rootKey: key)
            let evolving = Credential.evolving(device: Pair.device, key: key)
            let pair = try Pair(
                client: isFixedHere ? evolving : fixed, server: isFixedHere ? fixed : evolving)
            try pair.client.connect(now: pair.now)
            try pair.run()
            #expect(pair.dropped == [.kind])
            #expect(pair.accepted.tellsKind(now: pair.now))
            #expect(!pair.accepted.tellsKind(now: pair.now + 59_000))
            #expect(pair.accepted.tellsKind(now: pair.now + 60_000))
        }
    }

    /// Making an epoch durable takes longer than the packet that confirmed the session lives.
    @Test func theFirstMessageOutlivesItsPacket() throws {
        let pair = try Pair(.evolving(device: Pair.device, key: .random()))
        try pair.client.connect(now: pair.now)
        _ = try pair.client.send(OutgoingMessage(Array("first".utf8)), now: pair.now)
        pair.savesAtServer = false
        try pair.run()
        let server = try #require(pair.server)
        #expect(pair.receivedByServer.isEmpty)
        server.epochSaved()
        try pair.run()
        #expect(pair.receivedByServer == [Array("first".utf8)])
    }

    @Test func aHandshakeOfAStreamMeansNothingInADatagram() throws {
        let credential = Credential.fixed(device: Pair.device, rootKey: .random())
        let pair = try Pair(credential)
        let client = try Link(client: credential, configuration: LinkConfiguration.client.overStream)
        try client.connect(now: pair.now)
        while try client.nextEvent() != nil {}
        let hello = try #require(try pair.packets(from: client).first)
        #expect(hello.withUnsafeBytes { Packet.isForStream($0) })
        try pair.toServer(hello)
        #expect(pair.dropped == [.transport])
    }

    @Test func sessionsThatDidNotLastAreCountedInTheCredential() throws {
        let key = SecretKey.random()
        let pair = try Pair(
            client: .evolving(device: Pair.device, key: key, shortSessions: 3),
            server: .evolving(device: Pair.device, key: key))
        // The third in a row: 20 s.
        try pair.client.connect(now: pair.now)
        #expect(pair.client.connectsAt(now: pair.now) == pair.now + 20_000)
        try pair.run()
        #expect(pair.server == nil)
        try pair.advance(by: 20_000)
        #expect(pair.server != nil)
        let saved = pair.clientEvents.compactMap { event -> [UInt64]? in
            guard case .epochMoved(let credential) = event else { return nil }
            return [credential.epoch, UInt64(credential.shortSessions)]
        }
        #expect(saved == [[1, 4], [1, 0]])
    }
}
