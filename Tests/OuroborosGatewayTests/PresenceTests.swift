import Ouroboros
import OuroborosSinks
import Testing

@testable import OuroborosGateway

struct PresenceTests {
    private let device = DeviceID(number: 1)
    private let start = ContinuousClock.now

    /// Seconds between messages, and the interval that they tell.
    @Test(
        arguments: [
            ([], nil), ([10], nil), ([10, 10], 10), ([10, 12, 9], 10), ([10, 10, 3600, 10], 10),
            ([10, 3600, 7200], nil), ([1, 50, 700], nil), ([0.01, 60, 0.01, 60, 0.02, 60], 60),
            ([86_400, 86_400], 86_400),
        ] as [([Double], Double?)]) func whatMessagesTell(gaps: [Double], interval: Double?)
    {
        var rhythm = Rhythm()
        var now = start
        rhythm.heard(at: now)
        for gap in gaps {
            now += .seconds(gap)
            rhythm.heard(at: now)
        }
        #expect(rhythm.interval == interval.map { .seconds($0) })
    }

    @Test func oneThatIsOverdueIsOffline() {
        let presence = Presence(sleepingAfter: .seconds(120), offlineAfter: .seconds(7200))
        func status(_ silence: Int, hasSession: Bool = true) -> DeviceStatus {
            presence.status(of: device, silence: .seconds(silence), hasSession: hasSession)
        }
        presence.heard([device], at: start)
        #expect(status(119) == .online && status(7199) == .sleeping && status(7200) == .offline)
        // One that said goodbye is expected, too.
        #expect(status(1, hasSession: false) == .sleeping && status(7200, hasSession: false) == .offline)
        #expect(presence.expiry(of: device) == nil)
        for number in 1...3 {
            presence.heard([device], at: start + .seconds(number * 100))
        }
        #expect(presence.expiry(of: device) == .seconds(300))
        #expect(status(119) == .online && status(299) == .sleeping && status(300) == .offline)
        #expect(status(299, hasSession: false) == .sleeping && status(300, hasSession: false) == .offline)
        #expect(presence.silences(at: start + .seconds(310)) == [device: .seconds(10)])
        presence.forget(device)
        #expect(presence.silences() == [:])
    }

    /// Not before it counts as asleep.
    @Test func fastOnes() {
        let presence = Presence(sleepingAfter: .seconds(120), offlineAfter: .seconds(7200))
        for number in 0...5 {
            presence.heard([device], at: start + .seconds(number))
        }
        #expect(presence.expiry(of: device) == .seconds(120))
        #expect(presence.status(of: device, silence: .seconds(120), hasSession: true) == .offline)
    }
}
