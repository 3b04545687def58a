import COuroboros
import Testing

@testable import Ouroboros

@Suite struct SessionTests {
    private func expectClosed(_ call: () throws -> Void, _ location: SourceLocation = #_sourceLocation) {
        let error = #expect(throws: OuroborosError.self, sourceLocation: location, performing: call)
        #expect(error?.code == .closed, sourceLocation: location)
    }

    // MARK: Messages

    @Test(arguments: [false, true])
    func messagesGoBothWays(overStream: Bool) throws {
        var configuration = Session.Configuration()
        configuration.isStream = overStream
        let pair = try SessionPair.fixed(configuration)
        for number in 0..<200 {
            let message = [UInt8](repeating: UInt8(number), count: number * 6)
            #expect(try pair.server.open(pair.client.seal(message)).payloads == [message])
            #expect(try pair.client.open(pair.server.seal(message)).payloads == [message])
        }
        #expect(pair.client.id == pair.server.id && pair.client.id != 0)
        #expect(pair.client.maximumMessage == 1200)
    }

    @Test func thePlaintextDoesNotStandInThePacket() throws {
        let pair = try SessionPair.fixed()
        let message = [UInt8](repeating: 0x55, count: 100)
        let (once, again) = (try pair.client.seal(message), try pair.client.seal(message))
        #expect(once.count == 132 && once != again)
        #expect(!once.dropFirst(16).elementsEqual(again.dropFirst(16)))
        #expect(once.count { $0 == 0x55 } < 20)
    }

    @Test func aBatchComesAsItsMessages() throws {
        let pair = try SessionPair.fixed()
        var batch = Batch(limit: pair.client.maximumMessage)
        let error = #expect(throws: OuroborosError.self) { try pair.client.seal(batch) }
        #expect(error?.code == .wrongState)
        let fits = [[1], [], [2, 3]].map { batch.append($0) }
        #expect(fits == [true, true, true])
        guard case .messages(let messages) = try pair.server.open(pair.client.seal(batch)) else {
            Issue.record("a batch brought no messages")
            return
        }
        #expect(messages.map(\.payload) == [[1], [], [2, 3]])
        #expect(messages.map(\.isLastOfPacket) == [false, false, true])
        #expect(
            messages.allSatisfy { $0.sessionID == pair.client.id && $0.counter == 1 && $0.position == nil })
    }

    // MARK: Hostile packets

    @Test func aPacketThatWasChangedDoesNotOpen() throws {
        let pair = try SessionPair.fixed()
        let packet = try pair.client.seal([1, 2, 3])
        for index in packet.indices {
            for bit in 0..<8 {
                var changed = packet
                changed[index] ^= 1 << bit
                #expect(try pair.server.open(changed).reason != nil, "byte \(index), bit \(bit)")
            }
        }
        for count in 0..<packet.count {
            #expect(try pair.server.open(Array(packet.prefix(count))).reason == .malformed)
        }
        #expect(try pair.server.open(packet + [0]).reason == .malformed)
        #expect(try pair.server.open([UInt8](repeating: 0x11, count: 5000)).reason == .malformed)
        #expect(try pair.server.open(packet).payloads == [[1, 2, 3]])
    }

    @Test func whatIsRandomDoesNotOpen() throws {
        let pair = try SessionPair.fixed()
        let model = try pair.client.seal([UInt8](repeating: 7, count: 60))
        var random = SystemRandomNumberGenerator()
        for _ in 0..<2000 {
            var packet = model
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                packet[Int.random(in: 0..<packet.count, using: &random)] = .random(
                    in: 0...255, using: &random)
            }
            packet.removeLast(Int.random(in: 0...40, using: &random))
            guard packet != model else { continue }
            #expect(try pair.server.open(packet).reason != nil, "\(packet)")
            #expect(try pair.client.open(packet).reason != nil, "\(packet)")
            let isDropped = try pair.handshake.receive(packet).reason != nil
            #expect(isDropped, "\(packet)")
        }
        #expect(try pair.server.open(model).payloads?.count == 1)
    }

    @Test func aPacketOpensOnce() throws {
        let pair = try SessionPair.fixed()
        let packets = try (0..<80).map { try pair.client.seal([UInt8($0)]) }
        #expect(try pair.server.open(packets[0]).payloads == [[0]])
        #expect(try pair.server.open(packets[0]).reason == .duplicate)
        var other = packets[0]
        other[other.count - 1] ^= 1
        #expect(try pair.server.open(other).reason == .replay)
        for packet in packets.dropFirst() { _ = try pair.server.open(packet) }
        for packet in packets {
            let reason = try pair.server.open(packet).reason
            #expect(reason == .duplicate || reason == .replay)
        }
        #expect(try pair.server.open(packets[0]).reason == .replay)
    }

    @Test func whatASideSentItselfDoesNotOpen() throws {
        let pair = try SessionPair.fixed()
        let (mine, theirs) = (try pair.client.seal([1]), try pair.server.seal([2]))
        #expect(try pair.client.open(mine).reason == .authentication)
        #expect(try pair.server.open(theirs).reason == .authentication)
        #expect(try pair.server.open(mine).payloads == [[1]])
    }

    @Test func aPacketOfAnotherSessionDoesNotOpen() throws {
        let key = SecretKey.random()
        let pairs = try (0..<2).map { _ in
            try SessionPair(.fixed(device: Pair.device, rootKey: key))
        }
        let packet = try pairs[0].client.seal([1])
        #expect(try pairs[1].server.open(packet).reason == .unknownSession)
        var moved = packet
        withUnsafeBytes(of: pairs[1].server.id.bigEndian) { moved.replaceSubrange(4..<8, with: $0) }
        #expect(try pairs[1].server.open(moved).reason == .authentication)
    }

    @Test func handshakePacketsMeanNothingInASession() throws {
        let pair = try SessionPair.fixed()
        let hello = try ClientHandshake(.fixed(device: Pair.device, rootKey: .random())).hello
        #expect(try pair.server.open(hello).reason == .handshake)
    }

    // MARK: Order

    @Test func packetsMayOvertakeEachOtherWithinReach() throws {
        var configuration = Session.Configuration()
        configuration.reach = 8
        let pair = try SessionPair.fixed(configuration)
        let packets = try (1...8).map { try pair.client.seal([UInt8($0)]) }
        for number in (1...8).reversed() {
            #expect(try pair.server.open(packets[number - 1]).payloads == [[UInt8(number)]])
        }
    }

    @Test func oneFewerThanReachMayBeLostInARow() throws {
        var configuration = Session.Configuration()
        configuration.reach = 8
        for lost in [7, 8] {
            let pair = try SessionPair.fixed(configuration)
            for _ in 0..<lost { _ = try pair.client.seal([0]) }
            let next = try pair.server.open(pair.client.seal([1]))
            if lost == 7 {
                #expect(next.payloads == [[1]])
            } else {
                #expect(next.reason == .ahead)
                // For good, in that direction alone.
                for _ in 0..<100 {
                    #expect(try pair.server.open(pair.client.seal([2])).reason == .ahead)
                }
                #expect(try pair.client.open(pair.server.seal([3])).payloads == [[3]])
            }
        }
    }

    @Test func overAStreamNothingMayBeWrong() throws {
        for fault in 0..<4 {
            let pair = try SessionPair.fixed(Session.Configuration().overStream)
            var packet = try pair.client.seal([1])
            switch fault {
            case 0: packet[20] ^= 1
            case 1: packet = try pair.client.seal([2])
            case 2: _ = try pair.server.open(packet)
            default: packet = [UInt8](repeating: 0xff, count: 40)
            }
            #expect(try pair.server.open(packet).reason != nil, "fault \(fault)")
            #expect(pair.server.isClosed)
            expectClosed { _ = try pair.server.open(packet) }
            expectClosed { _ = try pair.server.seal([]) }
        }
    }

    // MARK: Limits

    @Test func aClientThatHeardNothingSealsFourMessages() throws {
        let pair = try SessionPair.fixed(answers: false)
        let packets = try (1...3).map { try pair.client.seal([UInt8($0)]) }
        let error = #expect(throws: OuroborosError.self) { try pair.client.seal([4]) }
        #expect(error?.code == .wrongState)
        #expect(error?.message.contains("wait") == true)
        for packet in packets { #expect(try pair.server.open(packet).payloads?.count == 1) }
        _ = try pair.client.open(pair.server.seal([]))
        #expect(try pair.server.open(pair.client.seal([4])).payloads == [[4]])
    }

    @Test func aMessageIsAsLargeAsTheOtherSideTakes() throws {
        var small = Session.Configuration()
        small.maxBody = 64
        let pair = try SessionPair(
            .fixed(device: Pair.device, rootKey: .random()), small, client: .init())
        #expect(pair.client.maximumMessage == 64)
        #expect(pair.server.maximumMessage == 1200)
        #expect(try pair.server.open(pair.client.seal([UInt8](repeating: 1, count: 64))).payloads?.count == 1)
        let error = #expect(throws: OuroborosError.self) {
            try pair.client.seal([UInt8](repeating: 1, count: 65))
        }
        #expect(error?.code == .tooLarge)
        #expect(error?.message.contains("64") == true)
        // What was refused took no counter.
        #expect(try pair.server.open(pair.client.seal([9])).payloads == [[9]])
        #expect(
            try pair.client.open(pair.server.seal([UInt8](repeating: 1, count: 1200))).payloads?.count == 1)
    }

    @Test func countersEnd() throws {
        let pair = try SessionPair.fixed()
        #expect(!pair.client.isToBeReplaced)
        pair.client.raw.pointee.tail.tx_next = .max - 1
        #expect(pair.client.isToBeReplaced)
        _ = try pair.client.seal([1])
        expectClosed { _ = try pair.client.seal([2]) }
        // CLOSE is of another space.
        _ = try pair.client.close()
    }

    @Test func eachCounterIsToBeWatched() throws {
        let limit = Session.renewalCounter
        for write in [
            { $0.pointee.tail.tx_next = UInt32(limit) }, { $0.pointee.window.next = limit },
            { $0.pointee.tail.tx_control_next = limit }, { $0.pointee.tail.rx_control_next = limit },
        ] as [(UnsafeMutablePointer<ouro_session>) -> Void] {
            let pair = try SessionPair.fixed()
            write(pair.client.raw)
            #expect(pair.client.isToBeReplaced)
        }
    }

    @Test func aConfigurationOutOfRangeIsRefused() {
        for change in [
            { $0.reach = 3 }, { $0.reach = 65 }, { $0.maxBody = 63 }, { $0.maxBody = 1201 },
            { $0.epochsAhead = 0 }, { $0.epochsAhead = 1025 },
        ] as [(inout Session.Configuration) -> Void] {
            var configuration = Session.Configuration()
            change(&configuration)
            let credential = Credential.fixed(device: Pair.device, rootKey: .random())
            for call in [
                { _ = try ClientHandshake(credential, configuration: configuration) },
                { _ = try ServerHandshake(credential, configuration: configuration) },
            ] {
                let error = #expect(throws: OuroborosError.self, performing: call)
                #expect(error?.code == .invalidConfiguration)
            }
        }
    }

    // MARK: The end

    @Test func closingTellsWhatIsMissing() throws {
        let pair = try SessionPair.fixed()
        let late = try pair.client.seal([1])
        _ = try pair.client.seal([2])
        let last = try pair.client.close(reason: .shutdown)
        #expect(pair.client.isClosed)
        expectClosed { _ = try pair.client.seal([3]) }
        expectClosed { _ = try pair.client.open(late) }
        expectClosed { _ = try pair.client.close() }
        #expect(try pair.server.open(last) == .closed(reason: .shutdown, missing: 2))
        #expect(pair.server.isClosed)
        expectClosed { _ = try pair.server.seal([4]) }
        // What it overtook still opens, and the answer has its reason.
        #expect(try pair.server.open(late).payloads == [[1]])
        _ = try pair.server.close()
        expectClosed { _ = try pair.server.open(late) }
    }

    @Test func theKeysOfASessionThatIsOverAreErased() throws {
        let pair = try SessionPair.fixed()
        _ = try pair.client.seal([1])
        let size = MemoryLayout<ouro_session>.stride + 64 * MemoryLayout<ouro_slot>.stride
        let memory = UnsafeRawBufferPointer(start: pair.client.raw, count: size)
        #expect(memory.contains { $0 != 0 })
        _ = try pair.client.close()
        #expect(memory.allSatisfy { $0 == 0 })
    }

    @Test func whatWasOpenedAndSealedDoesNotStay() throws {
        let pair = try SessionPair.fixed()
        let secret = [UInt8]("a secret that is to be gone".utf8)
        _ = try pair.server.open(pair.client.seal(secret))
        for session in [pair.client, pair.server] {
            let size =
                MemoryLayout<ouro_session>.stride + 64 * MemoryLayout<ouro_slot>.stride + Packet.maximumSize
            let memory = Array(UnsafeRawBufferPointer(start: session.raw, count: size))
            #expect(memory.suffix(Packet.maximumSize).allSatisfy { $0 == 0 })
        }
    }
}
