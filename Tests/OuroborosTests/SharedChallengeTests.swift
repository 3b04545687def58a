import Testing

@testable import Ouroboros

/// Challenges that a device got at one gateway of a fleet and answers at another.
@Suite struct SharedChallengeTests {
    private static let now: UInt64 = 1_000_000
    private let credential = Credential.fixed(device: Pair.device, rootKey: .random())
    private let older = SecretKey.random()
    private let newer = SecretKey.random()

    private struct Gateway {
        let acceptor: Acceptor
        let device: AcceptedDevice

        /// The session id of its answer; 0 is a challenge.
        func answer(_ hello: [UInt8]) throws -> (id: UInt32, packet: [UInt8]) {
            let answer = try hello.withUnsafeBytes {
                try acceptor.answer(hello: $0, of: device, link: nil, now: SharedChallengeTests.now) { _ in
                    false
                }
            }
            guard case .welcome(let packet, _) = answer else {
                throw SessionPair.Unexpected(step: "\(answer)")
            }
            return (packet.withUnsafeBytes { Packet.sessionID(of: $0) }, packet)
        }
    }

    /// One where so many handshakes of the device wait that the next has to answer a challenge.
    private func gateway(_ secret: SecretKey, second: SecretKey? = nil) throws -> Gateway {
        let shared = SharedChallenges(
            fleetSecret: secret, secondSecret: second, wallClock: { 1_700_000_004_000 })
        let acceptor = try Acceptor(configuration: .init(), shared: shared, now: Self.now)
        let gateway = Gateway(acceptor: acceptor, device: AcceptedDevice(credential, acceptor: acceptor))
        for _ in 0..<4 {
            #expect(try gateway.answer(ClientHandshake(credential).hello).id != 0)
        }
        return gateway
    }

    /// Whether the answer to a challenge of the one is enough for the other.
    private func holds(from maker: Gateway, at taker: Gateway) throws -> Bool {
        let client = try ClientHandshake(credential)
        let (id, challenge) = try maker.answer(client.hello)
        #expect(id == 0)
        guard case .send(let hello) = try client.receive(challenge) else {
            throw SessionPair.Unexpected(step: "a challenge that is none")
        }
        return try taker.answer(hello).id != 0
    }

    /// As docs/FLEET.md has it: the new secret is second everywhere, then first everywhere, then alone.
    @Test func whileTheSecretIsReplacedNeighbouringStepsAgree() throws {
        let steps: [(first: SecretKey, second: SecretKey?)] = [
            (older, nil), (older, newer), (newer, older), (newer, nil),
        ]
        for (earlier, later) in zip(steps, steps.dropFirst()) {
            for (maker, taker) in [(earlier, later), (later, earlier)] {
                #expect(
                    try holds(
                        from: gateway(maker.first, second: maker.second),
                        at: gateway(taker.first, second: taker.second)))
            }
        }
    }

    @Test func aChallengeUnderTheSecondSecretHolds() throws {
        let maker = try gateway(older)
        #expect(try holds(from: maker, at: gateway(older)))
        #expect(try holds(from: maker, at: gateway(newer, second: older)))
        #expect(try !holds(from: maker, at: gateway(newer)))
        #expect(try !holds(from: maker, at: gateway(newer, second: .random())))
    }

    /// A gateway makes its own under the first.
    @Test func aChallengeIsMadeUnderTheFirstSecret() throws {
        let maker = try gateway(newer, second: older)
        #expect(try holds(from: maker, at: gateway(newer)))
        #expect(try !holds(from: maker, at: gateway(older)))
    }
}
