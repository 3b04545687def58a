import Ouroboros
import Testing

@testable import OuroborosDownlink

/// Devices that do not answer leave places to those that do.
@Suite struct PlacesTests {
    private let here = Duration.seconds(1)
    private let silent = Duration.seconds(30)

    /// Takes what there is room for.
    private func fill(
        _ places: inout PlacesUnderWay, _ devices: ClosedRange<UInt64>, silentFor silence: Duration
    ) -> Int {
        devices.map { number in
            let room = places.room(for: DeviceID(number: number), silentFor: silence)
            places.began(room, for: DeviceID(number: number))
            return room
        }.reduce(0, +)
    }

    @Test func devicesThatWereSilentGetOneEach() {
        var places = PlacesUnderWay(places: 1024)
        let taken = fill(&places, 1...130, silentFor: silent)
        #expect(taken == 130)
        let another = fill(&places, 1000...1000, silentFor: here)
        #expect(another == 8)
        let again = fill(&places, 1000...1000, silentFor: here)
        #expect(again == 0)
    }

    @Test(arguments: [Duration.seconds(1), .seconds(30)])
    func howeverManyTheyAreOthersHaveRoom(silence: Duration) {
        var places = PlacesUnderWay(places: 1024)
        // They fall silent once they have what they were given.
        let taken =
            fill(&places, 1...250, silentFor: silence) + fill(&places, 251...10_000, silentFor: silent)
        #expect(taken <= 1000)
        let another = fill(&places, 20_000...20_000, silentFor: here)
        #expect(another == 2)
        places.ended(for: DeviceID(number: 20_000))
        let next = fill(&places, 20_000...20_000, silentFor: here)
        #expect(next == 1)
    }

    @Test func whatHasEndedGivesItsPlaceBack() {
        var places = PlacesUnderWay(places: 4)
        let device = DeviceID(number: 1)
        places.began(2, for: device)
        #expect(places.room(for: device, silentFor: silent) == 0)
        #expect(places.room(for: DeviceID(number: 2), silentFor: silent) == 0)
        places.ended(for: device)
        #expect(places.room(for: DeviceID(number: 2), silentFor: silent) == 1)
        places.ended(for: device)
        places.ended(for: device)
        #expect(places.room(for: device, silentFor: here) == 8)
    }
}
