import Ouroboros
import Testing

@testable import OuroborosNIO

/// Devices as a worker's tables have them.
private struct Devices {
    private let acceptor: Acceptor
    private let pool: PlacePool

    init() throws {
        acceptor = try Acceptor(configuration: .init(), now: 0)
        pool = try PlacePool(places: 1)
    }

    func peer(_ number: UInt64, heard: UInt64 = 0) -> ServerPeer {
        let id = DeviceID(number: number)
        let accepted = AcceptedDevice(.fixed(device: id, rootKey: .random()), acceptor: acceptor)
        return ServerPeer(accepted, device: id, now: heard)
    }

    func link() throws -> Link { try Link(serverWith: pool) }
}

@Suite struct DeviceTableTests {
    private let devices: Devices
    private var table = DeviceTable()

    init() throws {
        devices = try Devices()
    }

    private mutating func linked(_ number: UInt64, heard: UInt64 = 0) throws -> ServerPeer {
        let peer = devices.peer(number, heard: heard)
        table.add(peer)
        table.give(try devices.link(), to: peer)
        return peer
    }

    @Test mutating func aDeviceIsFoundUntilItIsRemoved() {
        let peer = devices.peer(1)
        table.add(peer)
        #expect(table.peers[peer.device] === peer)
        table.remove(peer.device)
        #expect(table.peers.isEmpty)
    }

    @Test mutating func eachLinkHasANumberOfItsOwn() throws {
        let peer = try linked(1)
        let first = peer.linkNumber
        _ = table.takeLink(of: peer)
        table.give(try devices.link(), to: peer)
        #expect(peer.linkNumber != first)
        #expect(table.linked[first] == nil)
        #expect(table.linked[peer.linkNumber] === peer)
    }

    @Test mutating func sessionsFollowWhatTheLinkHolds() throws {
        let peer = try linked(1)
        table.note([5, 6], of: peer)
        #expect(table.sessions[5] === peer && table.sessions[6] === peer)
        table.note([7, 6], of: peer)
        #expect(table.sessions[5] == nil)
        #expect(table.sessions[7] === peer && table.sessions[6] === peer)
        #expect(peer.sessions == [7, 6])
    }

    @Test mutating func withItsLinkItsSessionsGo() throws {
        let (peer, other) = (try linked(1), try linked(2))
        table.note([5], of: peer)
        table.note([6], of: other)
        #expect(table.takeLink(of: peer) != nil)
        #expect(table.takeLink(of: peer) == nil)
        #expect(Array(table.sessions.keys) == [6])
        #expect(peer.sessions.isEmpty && peer.link == nil)
        #expect(table.peers[peer.device] === peer)
    }

    @Test mutating func aSessionOfAnyLinkIsTaken() throws {
        let peer = try linked(1)
        table.note([5], of: peer)
        #expect(table.isTaken(5))
        #expect(!table.isTaken(6))
    }

    @Test mutating func theLongestSilentIsFound() throws {
        #expect(table.longestSilent == nil)
        let silent = try linked(1, heard: 10)
        _ = try linked(2, heard: 20)
        #expect(table.longestSilent === silent)
    }

    @Test mutating func whoIsSilentWithoutALinkIsForgotten() throws {
        _ = try linked(1)
        table.add(devices.peer(2))
        table.add(devices.peer(3, heard: 1))
        table.forgetSilent(now: 60, for: 60)
        #expect(Set(table.peers.keys) == [DeviceID(number: 1), DeviceID(number: 3)])
    }
}

@Suite struct AgendaTests {
    private let devices: Devices
    private var agenda = Agenda()

    init() throws {
        devices = try Devices()
    }

    @Test mutating func whoIsTouchedTwiceHasOneTurn() {
        let (one, other) = (devices.peer(1), devices.peer(2))
        for peer in [one, other, one] { agenda.touch(peer) }
        #expect(agenda.takeTouched().map(\.device) == [one.device, other.device])
        #expect(agenda.takeTouched().isEmpty)
    }

    @Test mutating func whoAwaitsAPlaceTwiceIsOfferedOne() {
        let peer = devices.peer(1)
        for _ in 0..<3 { agenda.awaitPlace(peer) }
        agenda.offerPlaces()
        #expect(agenda.takeTouched().count == 1)
        peer.isTouched = false
        agenda.offerPlaces()
        #expect(agenda.takeTouched().isEmpty)
        agenda.awaitPlace(peer)
        agenda.offerPlaces()
        #expect(agenda.takeTouched().count == 1)
    }

    @Test mutating func whoLeavesAwaitsNoPlace() {
        let stays = devices.peer(1)
        agenda.awaitPlace(stays)
        for number in UInt64(2)...100 {
            weak var left: ServerPeer?
            do {
                let peer = devices.peer(number)
                agenda.awaitPlace(peer)
                agenda.awaitNoPlace(peer)
                left = peer
            }
            #expect(left == nil)
        }
        agenda.offerPlaces()
        #expect(agenda.takeTouched().map(\.device) == [stays.device])
    }

    @Test mutating func theSoonestIsDueFirst() {
        let (one, other) = (devices.peer(1), devices.peer(2))
        agenda.set(one, to: 20)
        agenda.set(other, to: 10)
        #expect(agenda.deadline(sweeps: false) == 10)
        #expect(agenda.popDue(9) == nil)
        #expect(agenda.popDue(20) === other)
        #expect(agenda.popDue(20) === one)
        #expect(agenda.popDue(20) == nil)
    }

    @Test mutating func whoRetiresEndsInTime() {
        let peer = devices.peer(1)
        agenda.retire(peer, at: 60)
        #expect(agenda.deadline(sweeps: false) == 60)
        #expect(agenda.popRetired(59) == nil)
        #expect(agenda.popRetired(60) === peer)
        #expect(agenda.popRetired(60) == nil)
    }

    @Test mutating func retiringTwiceTakesNoLonger() {
        let peer = devices.peer(1)
        agenda.retire(peer, at: 60)
        agenda.retire(peer, at: 90)
        #expect(peer.retires == 60)
        #expect(agenda.popRetired(60) === peer)
        #expect(agenda.deadline(sweeps: false) == nil)
    }

    @Test mutating func whoHasALinkOfItsOwnAgainDoesNotEnd() {
        let (peer, next) = (devices.peer(1), devices.peer(2))
        agenda.retire(peer, at: 60)
        agenda.retire(next, at: 60)
        peer.retires = nil
        #expect(agenda.popRetired(60) === next)
    }

    @Test mutating func sweepsAndAcceptorsAreDue() {
        agenda.sweep = 50
        #expect(agenda.deadline(sweeps: false) == nil)
        #expect(agenda.deadline(sweeps: true) == 50)
        agenda.acceptors = 40
        #expect(agenda.deadline(sweeps: true) == 40)
    }
}
