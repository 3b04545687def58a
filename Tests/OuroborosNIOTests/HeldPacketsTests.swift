import Ouroboros
import Testing

@testable import OuroborosNIO

@Suite struct HeldPacketsTests {
    private let one = DeviceID(number: 1)
    private let other = DeviceID(number: 2)
    private var held = HeldPackets(ofAll: 4, ofOne: 3)

    private mutating func hold(_ numbers: ClosedRange<UInt8>, of device: DeviceID) -> [Bool] {
        numbers.map { number in
            withUnsafeBytes(of: number) { held.hold($0, from: PeerAddress($0), of: device) }
        }
    }

    @Test mutating func eachDeviceHasItsOwnInOrder() {
        #expect(hold(1...2, of: one) == [true, true])
        #expect(hold(3...4, of: other) == [true, true])
        #expect(held.take(of: one).map(\.bytes) == [[1], [2]])
        #expect(held.take(of: other).map(\.bytes) == [[3], [4]])
    }

    @Test mutating func whatIsTakenIsHeldNoMore() {
        _ = hold(1...2, of: one)
        #expect(held.count == 2)
        #expect(held.take(of: one).count == 2)
        #expect(held.count == 0)
        #expect(held.take(of: one).isEmpty)
    }

    @Test mutating func oneHasItsShare() {
        #expect(hold(1...4, of: one) == [true, true, true, false])
        #expect(held.take(of: one).map(\.bytes) == [[1], [2], [3]])
    }

    @Test mutating func allHaveAShare() {
        #expect(hold(1...3, of: one) == [true, true, true])
        #expect(hold(4...5, of: other) == [true, false])
        _ = held.take(of: one)
        #expect(hold(6...7, of: other) == [true, true])
        #expect(held.take(of: other).map(\.bytes) == [[4], [6], [7]])
    }
}
