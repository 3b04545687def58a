import COuroboros
import Testing

@testable import Ouroboros

@Suite struct LinkTests {
    private func connected() throws -> Pair {
        let pair = try Pair.fixed()
        try pair.client.connect(now: pair.now)
        try pair.run()
        #expect(pair.client.isOpen)
        return pair
    }

    @Test func aMessageIsDelivered() throws {
        let pair = try connected()
        _ = try pair.client.send(OutgoingMessage(Array("hello".utf8)), now: pair.now)
        try pair.run()
        #expect(pair.receivedByServer == [Array("hello".utf8)])
        #expect(pair.delivered == 1)
    }

    @Test func aMessageComesBack() throws {
        let pair = try connected()
        _ = try pair.client.send(OutgoingMessage([]), now: pair.now)
        try pair.run()
        let server = try #require(pair.server)
        _ = try server.send(OutgoingMessage([1, 2, 3]), now: pair.now)
        try pair.run()
        #expect(pair.receivedByServer == [[]])
        #expect(pair.receivedByClient == [[1, 2, 3]])
    }

    @Test func aMessageIsAcknowledgedOnlyWhenItIsSafe() throws {
        let pair = try connected()
        pair.confirmsAtServer = false
        _ = try pair.client.send(OutgoingMessage([7]), now: pair.now)
        try pair.advance(by: 20_000)
        #expect(pair.receivedByServer == [[7]])
        #expect(pair.delivered == 0)
        guard
            case .message(let message)? = pair.serverEvents.last(where: {
                if case .message = $0 { true } else { false }
            })
        else {
            Issue.record("no message")
            return
        }
        pair.server?.done(sessionID: message.sessionID, counter: message.counter)
        try pair.run()
        #expect(pair.delivered == 1)
    }

    @Test func aBatchArrivesOneByOne() throws {
        let pair = try connected()
        var batch = Batch(limit: pair.client.maximumMessage())
        let items = (0..<100).map { [UInt8](repeating: UInt8($0), count: $0 % 7) }
        let fits = items.map { batch.append($0) }
        #expect(fits.allSatisfy { $0 })
        _ = try pair.client.send(OutgoingMessage(batch: batch), now: pair.now)
        try pair.run()
        #expect(pair.receivedByServer == items)
        #expect(pair.delivered == 1)
    }

    @Test func aBatchTakesNoMoreThanItsLimit() {
        var batch = Batch(limit: 10)
        let fits = [[1, 2, 3], [1, 2, 3, 4], [1, 2, 3], []].map { batch.append($0) }
        #expect(fits == [true, false, true, false])
        #expect(batch.count == 2)
    }

    @Test func aMessageThatIsTooLargeIsRefusedWithTheLimit() throws {
        let pair = try connected()
        let error = #expect(throws: OuroborosError.self) {
            try pair.client.send(OutgoingMessage([UInt8](repeating: 0, count: 1201)), now: pair.now)
        }
        #expect(error?.code == .tooLarge)
        #expect(error?.message.contains("1200") == true)
        _ = try pair.client.send(OutgoingMessage([UInt8](repeating: 9, count: 1200)), now: pair.now)
        try pair.run()
        #expect(pair.delivered == 1)
    }

    @Test func aMessageThatWasNotSentCanBeTakenBack() throws {
        let pair = try Pair.fixed()
        let id = try pair.client.send(OutgoingMessage([1]), now: pair.now)
        #expect(pair.client.withdraw(id))
        #expect(!pair.client.withdraw(id))
        guard case .failed(id)? = try pair.client.nextEvent() else {
            Issue.record("a message that was taken back fails")
            return
        }
    }

    @Test func anotherKeyMeetsSilence() throws {
        let pair = try Pair(
            client: .fixed(device: Pair.device, rootKey: .random()),
            server: .fixed(device: Pair.device, rootKey: .random()))
        try pair.client.connect(now: pair.now)
        try pair.advance(by: 70_000)
        #expect(pair.server == nil)
        #expect(pair.client.statistics.received == 0)
        #expect(pair.clientEvents.contains { if case .dead = $0 { true } else { false } })
    }

    @Test func anEvolvingCredentialMovesWithEachHandshake() throws {
        let root = SecretKey.random()
        var credential = Credential.evolving(device: Pair.device, key: root)
        var registered = credential
        for round in UInt64(1)...3 {
            let pair = try Pair(client: credential, server: registered)
            try pair.client.connect(now: pair.now)
            _ = try pair.client.send(OutgoingMessage([1]), now: pair.now)
            try pair.run()
            #expect(pair.receivedByServer == [[1]])
            // The second is short after a short one until something is heard in it: that it is not is saved, too.
            #expect(pair.clientEpochs == (round == 2 ? [2, 2] : [round]))
            #expect(pair.serverEpochs == [round])
            credential = try #require(pair.client.credential)
            registered = pair.accepted.credential
            #expect(credential.epoch == registered.epoch && credential.key == registered.key)
            #expect(credential.shortSessions == (round == 2 ? 0 : 1) && registered.shortSessions == 0)
            #expect(credential.key != root)
        }
    }

    @Test func aSessionSleepsAndGoesOn() throws {
        let pair = try connected()
        _ = try pair.client.send(OutgoingMessage([1]), now: pair.now)
        try pair.advance(by: 10_000)
        #expect(pair.client.isQuiet)
        let saved = try pair.client.save(now: pair.now)
        #expect("\(saved)" == "redacted")
        #expect(!pair.client.isOpen)
        pair.now += 3_600_000
        try pair.client.restore(saved, slept: 3_600_000, now: pair.now)
        _ = try pair.client.send(OutgoingMessage([2]), now: pair.now)
        try pair.run()
        #expect(pair.receivedByServer == [[1], [2]])
        #expect(pair.client.statistics.handshakes == 1)
    }

    @Test func aDamagedSessionIsRefused() throws {
        let pair = try connected()
        _ = try pair.client.send(OutgoingMessage([1]), now: pair.now)
        try pair.advance(by: 10_000)
        let saved = try pair.client.save(now: pair.now)
        let bytes = saved.withUnsafeBytes { Array($0.dropLast()) }
        #expect(throws: OuroborosError.self) {
            try pair.client.restore(SavedSession(bytes), slept: 0, now: pair.now)
        }
    }

    @Test func closingTellsBothSides() throws {
        let pair = try connected()
        _ = try pair.client.send(OutgoingMessage([1]), now: pair.now)
        try pair.run()
        try pair.client.close(reason: .normal, atOnce: false, now: pair.now)
        try pair.run()
        #expect(pair.client.isClosed)
        let closed = pair.serverEvents.contains {
            if case .closed(.normal, byPeer: true, missing: 0) = $0 { true } else { false }
        }
        #expect(closed)
        #expect(pair.server?.sessionIDs == [])
        #expect(throws: OuroborosError.self) {
            try pair.client.send(OutgoingMessage([2]), now: pair.now)
        }
    }

    @Test func aSessionThatWasReplacedIsClosed() throws {
        let pair = try connected()
        _ = try pair.client.send(OutgoingMessage([1]), now: pair.now)
        try pair.run()
        try pair.client.rekey(now: pair.now)
        _ = try pair.client.send(OutgoingMessage([2]), now: pair.now)
        try pair.run()
        #expect(pair.receivedByServer == [[1], [2]])
        #expect(pair.client.sessionIDs.count == 1)
        #expect(pair.server?.sessionIDs.count == 1)
        try pair.client.close(reason: .normal, atOnce: false, now: pair.now)
        try pair.run()
        #expect(pair.client.isClosed)
        #expect(pair.server?.sessionIDs == [])
    }

    @Test func closingAtOnceEndsWhatTheOtherSideHasUnderWay() throws {
        let pair = try connected()
        _ = try pair.client.send(OutgoingMessage([1]), now: pair.now)
        try pair.run()
        let server = try #require(pair.server)
        pair.confirmsAtClient = false
        for _ in 0..<2 {
            _ = try server.send(OutgoingMessage([2]), now: pair.now)
        }
        try pair.run()
        #expect(pair.receivedByClient.count == 2)
        try pair.client.close(reason: .normal, atOnce: true, now: pair.now)
        try pair.run()
        #expect(server.sessionIDs == [])
        #expect(pair.pool.used == 0)
        let unknown = pair.serverEvents.count {
            if case .unknown(_, isStalled: false) = $0 { true } else { false }
        }
        #expect(unknown == 2)
    }

    @Test func rubbishIsDroppedAndCounted() throws {
        let pair = try connected()
        var rubbish = [UInt8](repeating: 0xff, count: 100)
        let receipt = rubbish.withUnsafeMutableBytes { pair.client.receive($0, now: pair.now) }
        guard case .dropped(.malformed) = receipt else {
            Issue.record("rubbish was taken")
            return
        }
        #expect(pair.client.statistics.drops[.malformed] == 1)
    }

    /// The engine then wants to be asked again: what failed is a message that fails, or counts as lost.
    @Test func aPacketThatCannotBeMadeIsNotTheEnd() throws {
        let link = try Link(client: .fixed(device: Pair.device, rootKey: .random()))
        let bytes: [UInt8] = [1, 2, 3]
        var answers = [OURO_ERR_CRYPTO, OURO_ERR_CRYPTO, OURO_OK, OURO_ERR_CRYPTO, OURO_OK]
        var packets: [[UInt8]] = []
        func transmit() throws -> Bool {
            try bytes.withUnsafeBufferPointer { bytes in
                try link.transmit({ packet, _ in packets.append(Array(packet)) }) { datagram in
                    let status = answers.removeFirst()
                    // A packet, and then none.
                    if status == OURO_OK, packets.isEmpty {
                        datagram.pointee.data = bytes.baseAddress
                        datagram.pointee.len = bytes.count
                    }
                    return status
                }
            }
        }
        #expect(try transmit())
        #expect(packets == [[1, 2, 3]])
        #expect(try !transmit())
        #expect(answers.isEmpty)
        answers = [OURO_ERR_ARGUMENT]
        #expect(throws: OuroborosError.self) { try transmit() }
    }

    @Test func placesComeBack() throws {
        let pair = try connected()
        let server = try #require(pair.server)
        for _ in 0..<10 {
            _ = try server.send(OutgoingMessage([1]), now: pair.now)
        }
        #expect(pair.pool.used == 10)
        try pair.run()
        #expect(pair.pool.used == 0)
    }
}
