import Testing

@testable import Ouroboros

@Suite struct LinkTests {
    @Test func aMessageIsDelivered() throws {
        let pair = try Pair.fixed()
        try pair.client.connect(now: pair.now)
        try pair.run()
        _ = try pair.client.send(OutgoingMessage(Array("hello".utf8)), now: pair.now)
        try pair.run()
        #expect(pair.receivedByServer == [Array("hello".utf8)])
        #expect(pair.delivered == 1)
    }
}
