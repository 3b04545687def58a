import NIOCore
import Ouroboros
import OuroborosTesting
import TestSupport
import Testing

@testable import OuroborosNIO

/// Connected is WELCOME: the first message takes no round trip more than the protocol needs.
@Suite(.timeLimit(.minutes(2))) struct FirstPacketTests {
    let credential = Credential.fixed(device: device, rootKey: .random())

    @Test func aMessageThatComesSoonGoesFirst() {
        var packet = FirstPacket()
        func isHeld(_ now: UInt64, hasMore: Bool = false) -> Bool {
            packet.isHeld(now: now, hasMore: hasMore)
        }
        #expect(isHeld(5) == false)
        packet.welcomed(now: 100)
        #expect(packet.deadline == 100 + FirstPacket.patience)
        #expect(isHeld(101))
        #expect(isHeld(102, hasMore: true) == false)
        #expect(packet.deadline == nil)
        packet.welcomed(now: 200)
        #expect(isHeld(200 + FirstPacket.patience) == false)
        packet.welcomed(now: 300)
        packet.release()
        #expect(isHeld(301) == false)
    }

    /// Over a round trip of 100 ms: HELLO, WELCOME, DATA, ACK, and it is delivered after two round trips.
    @Test func aMessageIsDeliveredAfterTwoRoundTrips() async throws {
        let time = VirtualTime()
        let network = MemoryNetwork(seed: 1, impairment: .init(delay: .milliseconds(50)))
        let credential = credential
        let (elapsed, packets) = try await time.run {
            var serverConfiguration = ServerConfiguration()
            serverConfiguration.eventLoopGroup = time.eventLoopGroup
            var clientConfiguration = ClientConfiguration()
            clientConfiguration.eventLoopGroup = time.eventLoopGroup
            let gateway = try network.endpoint(port: 5700)
            let server = try await OuroborosServer.bind(
                to: [gateway], registry: MemoryRegistry(credential), configuration: serverConfiguration)
            let reader = Task { for await batch in server.batches { batch.confirm() } }
            let begin = time.elapsed
            let connection = try await OuroborosClient.connect(
                to: gateway, credential: credential, configuration: clientConfiguration)
            try await connection.send([1])
            let outcome = (time.elapsed - begin, network.counts.path.sent)
            await connection.close()
            await server.close()
            await reader.value
            return outcome
        }
        #expect(elapsed <= .milliseconds(250))
        #expect(packets == 4)
    }

    /// The same over sockets of both kinds. A machine that is busy may take longer than the moment that there is.
    @Test(arguments: Way.allCases) func noPacketMoreOverSockets(way: Way) async throws {
        let credential = credential
        try await withEchoServer(over: way, MemoryRegistry(credential), echoes: false) { server, collector in
            var packets: UInt64 = 0
            for number in UInt8(1)...10 where packets != 1 {
                let before = try await server.statistics().links
                let connection = try await OuroborosClient.connect(
                    to: server.endpoints[0], credential: credential)
                try await connection.send([number])
                let after = try await server.statistics().links
                packets = after.received + after.sent - before.received - before.sent
                await connection.close()
                #expect(collector.count == Int(number))
            }
            // DATA confirms the session and is no packet in it yet; its ACK is.
            #expect(packets == 1)
        }
    }

    /// One who has nothing to say is confirmed all the same.
    @Test(arguments: Way.allCases) func whoOnlyListensIsConfirmed(way: Way) async throws {
        let credential = credential
        try await withEchoServer(over: way, MemoryRegistry(credential)) { server, _ in
            let connection = try await OuroborosClient.connect(
                to: server.endpoints[0], credential: credential)
            try await eventually("the session is confirmed") {
                try await server.statistics().links.handshakes == 1
            }
            async let posted: Void = server.send([7], to: device)
            var messages = connection.messages.makeAsyncIterator()
            #expect(await messages.next()?.payload == [7])
            try await posted
            await connection.close()
        }
    }
}
