import Testing

@testable import Ouroboros

@Suite struct SessionHandshakeTests {
    private let key = SecretKey.random()

    private func fixed() -> Credential { .fixed(device: Pair.device, rootKey: key) }

    private func evolving(_ epoch: UInt64 = 0) throws -> Credential {
        let root = Credential.evolving(device: Pair.device, key: key)
        return epoch == 0 ? root : try root.advanced(by: epoch)
    }

    /// A client whose session stands, and has sealed nothing.
    private func connected(
        _ server: ServerHandshake, _ credential: Credential
    ) throws -> (client: Session, hello: [UInt8]) {
        let client = try ClientHandshake(credential)
        let welcome = try SessionPair.sent(server.receive(client.hello))
        return (try SessionPair.session(client.receive(welcome), client.epochSaved), client.hello)
    }

    // MARK: Epochs

    @Test func bothSidesSaveTheirEpochBeforeTheyHaveASession() throws {
        var (device, registered) = (try evolving(), try evolving())
        for epoch in UInt64(1)...3 {
            let client = try ClientHandshake(device)
            let server = try ServerHandshake(registered)
            let welcome = try SessionPair.sent(server.receive(client.hello))

            device = try #require(try client.receive(welcome).saved)
            #expect(device.epoch == epoch)
            #expect(try client.receive(welcome).reason == .busy)
            let session = try SessionPair.session(client.epochSaved()) { throw OuroborosError.nothingToSave }

            let packet = try session.seal([7])
            registered = try #require(try server.receive(packet).saved)
            #expect(registered == device)
            #expect(server.credential == registered)
            #expect(try server.receive(packet).reason == .busy)
            let (_, first) = try SessionPair.session(server.epochSaved()) {
                throw OuroborosError.nothingToSave
            }
            #expect(first.payloads == [[7]])
            #expect(device.key != key)
        }
    }

    @Test func anEpochIsSavedOnce() throws {
        let pair = try SessionPair(evolving())
        for call in [
            { _ = try ClientHandshake(fixed()).epochSaved() }, { _ = try pair.handshake.epochSaved() },
        ] {
            let error = #expect(throws: OuroborosError.self, performing: call)
            #expect(error?.code == .wrongState)
        }
    }

    @Test func aServerSavesAnEpochAheadBeforeItsWelcome() throws {
        // The device has moved: its first packet did not come.
        let client = try ClientHandshake(evolving(1))
        let server = try ServerHandshake(evolving())
        #expect(try server.receive(client.hello).saved == evolving(1))
        let welcome = try SessionPair.sent(server.epochSaved())
        let session = try SessionPair.session(client.receive(welcome), client.epochSaved)
        #expect(try server.receive(session.seal([1])).saved == evolving(2))
    }

    @Test func anEpochThatIsLeftTakesWhatWaitedInItAlong() throws {
        let server = try ServerHandshake(evolving())
        let client = try connected(server, evolving()).client
        // Its keys are derived, and nothing has confirmed them.
        var forged = try client.seal([1])
        let packet = forged
        forged[20] ^= 1
        #expect(try server.receive(forged).reason == .authentication)
        #expect(try server.receive(ClientHandshake(evolving(1)).hello).saved == evolving(1))
        _ = try server.epochSaved()
        #expect(try server.receive(packet).reason == .unknownSession)
        #expect(try server.credential == evolving(1))
    }

    @Test func anEpochTooFarAheadOrSpentMeetsSilence() throws {
        let server = try ServerHandshake(evolving(5))
        for epoch in [0, 4, 7, 1000] as [UInt64] {
            #expect(try server.receive(ClientHandshake(evolving(epoch)).hello).reason == .epoch)
        }
        var restored = Session.Configuration()
        restored.epochsAhead = 1024
        let older = try ServerHandshake(evolving(5), configuration: restored)
        #expect(try older.receive(ClientHandshake(evolving(1030)).hello).reason == .epoch)
        #expect(try older.receive(ClientHandshake(evolving(1029)).hello).saved == evolving(1029))
    }

    @Test func aForgedHelloMovesNothing() throws {
        let server = try ServerHandshake(evolving())
        var hello = try ClientHandshake(evolving(1)).hello
        hello[30] ^= 1
        #expect(try server.receive(hello).reason == .authentication)
        #expect(try server.credential == evolving())
    }

    @Test func theLastEpochIsTheLast() throws {
        let last = Credential.evolving(device: Pair.device, epoch: .max, key: key)
        let client = try ClientHandshake(last)
        let server = try ServerHandshake(last)
        let welcome = try SessionPair.sent(server.receive(client.hello))
        let error = #expect(throws: OuroborosError.self) { try client.receive(welcome) }
        #expect(error?.code == .limit)
    }

    // MARK: Who is who

    @Test func anotherKeyMeetsSilence() throws {
        let server = try ServerHandshake(fixed())
        let stranger = try ClientHandshake(.fixed(device: Pair.device, rootKey: .random()))
        #expect(try server.receive(stranger.hello).reason == .authentication)
        // Nor does a stranger's WELCOME count.
        let client = try ClientHandshake(fixed())
        let forger = try ServerHandshake(.fixed(device: Pair.device, rootKey: .random()))
        var forged = try SessionPair.sent(server.receive(client.hello))
        forged[20] ^= 1
        #expect(try client.receive(forged).reason == .authentication)
        #expect(try forger.receive(client.hello).reason == .authentication)
    }

    @Test func anotherDeviceKindOrWayMeetsSilence() throws {
        let server = try ServerHandshake(fixed())
        let other = Credential.fixed(device: DeviceID(number: 9), rootKey: key)
        #expect(try server.receive(ClientHandshake(other).hello).reason == .handshake)
        #expect(try server.receive(ClientHandshake(evolving()).hello).reason == .kind)
        let streamed = try ClientHandshake(fixed(), configuration: Session.Configuration().overStream)
        #expect(try server.receive(streamed.hello).reason == .transport)
        #expect(try ServerHandshake(evolving()).receive(ClientHandshake(fixed()).hello).reason == .kind)
        #expect(!server.hasPendingSessions)
    }

    @Test func rubbishIsDropped() throws {
        let client = try ClientHandshake(fixed())
        let server = try ServerHandshake(fixed())
        let welcome = try SessionPair.sent(server.receive(client.hello))
        for packet in [client.hello, welcome] {
            for count in 0..<packet.count {
                #expect(try server.receive(Array(packet.prefix(count))).reason != nil)
                #expect(try client.receive(Array(packet.prefix(count))).reason != nil)
            }
            for index in packet.indices {
                var changed = packet
                changed[index] ^= 0x80
                #expect(try server.receive(changed).reason != nil, "byte \(index)")
                #expect(try client.receive(changed).reason != nil, "byte \(index)")
            }
        }
        _ = try SessionPair.session(client.receive(welcome), client.epochSaved)
    }

    // MARK: Repeated

    @Test func aWelcomeIsTakenOnce() throws {
        for credential in [fixed(), try evolving()] {
            let client = try ClientHandshake(credential)
            let server = try ServerHandshake(credential)
            let welcome = try SessionPair.sent(server.receive(client.hello))
            _ = try SessionPair.session(client.receive(welcome), client.epochSaved)
            #expect(try client.receive(welcome).reason == .handshake)
        }
    }

    @Test func theSameHelloGetsTheSameWelcome() throws {
        let client = try ClientHandshake(fixed())
        let server = try ServerHandshake(fixed())
        let welcome = try SessionPair.sent(server.receive(client.hello))
        #expect(try SessionPair.sent(server.receive(client.hello)) == welcome)
        let session = try SessionPair.session(client.receive(welcome), client.epochSaved)
        _ = try SessionPair.session(server.receive(session.seal([])), server.epochSaved)
        #expect(try server.receive(client.hello).reason == .handshake)
        #expect(!server.hasPendingSessions)
    }

    @Test func aReplayedHelloTouchesNoSession() throws {
        let recorded = try ClientHandshake(fixed()).hello
        let pair = try SessionPair(fixed())
        _ = try SessionPair.sent(pair.handshake.receive(recorded))
        #expect(try pair.server.open(pair.client.seal([1])).payloads == [[1]])
        #expect(pair.handshake.hasPendingSessions)
        pair.handshake.dropPending()
        #expect(!pair.handshake.hasPendingSessions)
    }

    @Test func fourSessionsWaitAndTheOldestGoes() throws {
        let server = try ServerHandshake(fixed())
        let clients = try (0..<5).map { _ in try connected(server, fixed()).client }
        #expect(try server.receive(clients[0].seal([])).reason == .unknownSession)
        // A confirmation ends those that were made before it, and none that was made later.
        _ = try SessionPair.session(server.receive(clients[3].seal([])), server.epochSaved)
        #expect(try server.receive(clients[1].seal([])).reason == .unknownSession)
        let (_, first) = try SessionPair.session(server.receive(clients[4].seal([4])), server.epochSaved)
        #expect(first.payloads == [[4]])
    }

    @Test func aConfirmationLeavesItsEpoch() throws {
        let server = try ServerHandshake(evolving())
        let clients = try (0..<2).map { _ in try connected(server, evolving()).client }
        _ = try SessionPair.session(server.receive(clients[0].seal([])), server.epochSaved)
        #expect(try server.receive(clients[1].seal([])).reason == .unknownSession)
    }

    @Test func aFirstPacketThatIsForgedConfirmsNothing() throws {
        let server = try ServerHandshake(evolving())
        let client = try connected(server, evolving()).client
        let packet = try client.seal([1])
        var forged = packet
        forged[20] ^= 1
        #expect(try server.receive(forged).reason == .authentication)
        #expect(try server.credential == evolving())
        let (_, first) = try SessionPair.session(server.receive(packet), server.epochSaved)
        #expect(first.payloads == [[1]])
    }

    @Test func aPendingSessionTakesFourCounters() throws {
        let server = try ServerHandshake(fixed())
        let client = try connected(server, fixed()).client
        _ = try (0..<3).map { _ in try client.seal([0]) }
        let fourth = try client.seal([3])
        var fifth = fourth
        fifth[15] = 4
        #expect(try server.receive(fifth).reason == .ahead)
        #expect(try SessionPair.session(server.receive(fourth), server.epochSaved).1.payloads == [[3]])
    }

    @Test func overAStreamAForgedFirstPacketEndsTheSession() throws {
        let configuration = Session.Configuration().overStream
        let client = try ClientHandshake(fixed(), configuration: configuration)
        let server = try ServerHandshake(fixed(), configuration: configuration)
        let welcome = try SessionPair.sent(server.receive(client.hello))
        let session = try SessionPair.session(client.receive(welcome), client.epochSaved)
        let packet = try session.seal([1])
        var forged = packet
        forged[20] ^= 1
        #expect(try server.receive(forged).reason == .authentication)
        #expect(try server.receive(packet).reason == .unknownSession)
    }

    @Test func anIDThatIsTakenIsNotGiven() throws {
        let server = try ServerHandshake(fixed())
        var asked: [UInt32] = []
        let step = try server.receive(ClientHandshake(fixed()).hello) { id in
            asked.append(id)
            return asked.count < 3
        }
        let welcome = try SessionPair.sent(step)
        #expect(asked.count == 3)
        #expect(welcome.withUnsafeBytes { Packet.sessionID(of: $0) } == asked.last)
        let error = #expect(throws: OuroborosError.self) {
            try server.receive(ClientHandshake(fixed()).hello) { _ in true }
        }
        #expect(error?.code == .engine)
    }
}
