import NIOCore
import Ouroboros
import Testing

@testable import OuroborosNIO

struct DeviceProblemTests {
    private func address(_ text: String) throws -> SocketAddress {
        let parts = text.split(separator: ":")
        return try SocketAddress(ipAddress: String(parts[0]), port: #require(Int(parts[1])))
    }

    /// The places of each session, and whether the last of them shows two devices.
    @Test(arguments: [
        (["10.0.0.1:1", "10.0.0.2:1", "10.0.0.1:2", "10.0.0.2:9"], true),
        (["10.0.0.1:1", "10.0.0.1:2", "10.0.0.1:1", "10.0.0.1:2"], true),
        (["10.0.0.1:1", "10.0.0.1:2", "10.0.0.1:3", "10.0.0.1:4"], false),
        (["10.0.0.1:1", "10.0.0.1:1", "10.0.0.1:1", "10.0.0.1:1"], false),
        (["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1", "10.0.0.2:1"], false),
        (["10.0.0.1:1", "10.0.0.2:1", "10.0.0.1:1"], false),
        (["10.0.0.9:1", "10.0.0.1:1", "10.0.0.2:1", "10.0.0.1:1", "10.0.0.2:1"], true),
    ])
    func twoDevicesGoBackAndForth(sessions: [String], areTwo: Bool) throws {
        var places = SessionPlaces()
        for session in sessions.dropLast() {
            #expect(places.note(try address(session), now: 1) == nil)
        }
        let last = try address(#require(sessions.last))
        #expect((places.note(last, now: 1) != nil) == areTwo)
    }

    @Test func whatIsLongAgoIsNoTurn() throws {
        var places = SessionPlaces()
        for (number, host) in ["10.0.0.1:1", "10.0.0.2:1", "10.0.0.1:1", "10.0.0.2:1"].enumerated() {
            #expect(places.note(try address(host), now: UInt64(number) * 300_000) == nil)
        }
    }

    @Test func aMinutePassesBeforeTheSameIsToldAgain() {
        var telling = Telling<Int>()
        let start = ContinuousClock.now
        func isDue(_ subject: Int, at seconds: Int) -> Bool {
            telling.isDue(subject, now: start + .seconds(seconds))
        }
        #expect(isDue(1, at: 0))
        #expect(!isDue(1, at: 59))
        #expect(isDue(2, at: 59))
        #expect(isDue(1, at: 60))
        // Of those who make up ids only so many are told, and others again once a minute is over.
        #expect((10..<1000).filter { isDue($0, at: 61) }.count == 62)
        #expect(isDue(5000, at: 121))
    }
}
