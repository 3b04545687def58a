import Foundation
import LibC
import Subprocess
import TestSupport
import Testing

/// A fleet whose gateways are killed, one without its database and one without its broker, and whose database crashes, while
/// devices send.
///
/// `OURO_BROKER_AWAY` is for how many seconds: `make soak` sets a minute.
@Suite(.serialized, .timeLimit(.minutes(10))) struct FleetFaultTests {
    private static let brokerAway =
        ProcessInfo.processInfo.environment["OURO_BROKER_AWAY"].flatMap { Int($0) } ?? 3

    @Test func nothingAcknowledgedIsLostAndRepeatsCanBeToldApart() async throws {
        try await PostgresCluster.with { cluster in
            let scratch = try Scratch()
            let senders = (0..<4).map { FaultDevice(number: $0, hasOutbox: $0 < 2) }
            let probe = FaultDevice(number: 4, hasOutbox: false)
            let talker = FaultDevice(number: 5, hasOutbox: false)
            let devices = senders + [probe, talker]
            let broker = try Broker(in: scratch)
            try await broker.start()
            let fleet = try await FaultFleet(
                cluster, devices: devices, sinks: ["--sink-mqtt", broker.url],
                gateways: 4, in: scratch)
            let watcher = try await broker.watcher("-c", "-x", "600", "-t", "ouroboros/+/up")
            try await eventually("a message comes through") {
                try await arrives(from: probe, fleet, watcher)
            }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for sender in senders {
                    group.addTask { try await sender.run(fleet) }
                }
                let times = try await faults(fleet, broker, probe, talker, watcher)
                group.cancelAll()
                while let result = await group.nextResult() {
                    if case .failure(let error) = result, !(error is CancellationError) { throw error }
                }
                for sender in senders { try await sender.flush(fleet) }
                let (sum, repeats) = try await judge(devices, watcher)
                print(
                    "fleet: gateway killed: \(times.takeover) to the sink's takeover, \(times.kill) to the first "
                        + "message after it; database back: \(times.database); broker back after "
                        + "\(Self.brokerAway) s: \(times.broker); \(sum) messages acknowledged, "
                        + "\(repeats) of \(watcher.output.count) at the subscriber repeated")
            }
            for gateway in fleet.gateways.filter({ !$0.isEnded }) {
                gateway.send(SIGTERM)
                #expect(try await gateway.ended() == .exited(0), "\(gateway.errors.all)")
            }
            try await watcher.killed()
            try await broker.stop()
        }
    }

    private struct Times {
        var takeover = Duration.zero
        var kill = Duration.zero
        var database = Duration.zero
        var broker = Duration.zero
    }

    private func faults(
        _ fleet: FaultFleet, _ broker: Broker, _ probe: FaultDevice, _ talker: FaultDevice,
        _ watcher: Victim
    ) async throws -> Times {
        var times = Times()
        try await eventually("one gateway runs the sink") { fleet.allClaims == 1 }
        let holder = try #require(fleet.gateways.indices.first { fleet.claims(of: $0) > 0 })
        var start = ContinuousClock.now
        try await fleet.gateways[holder].killed()
        try await eventually("another gateway runs the sink") { fleet.allClaims == 2 }
        times.takeover = .now - start
        #expect(fleet.claims(of: holder) == 1)
        try await recovers(probe, fleet, watcher)
        times.kill = .now - start

        let next = try #require(
            fleet.gateways.indices.first { $0 != holder && fleet.claims(of: $0) > 0 })
        try await broker.stop()
        try await eventually("a message is acknowledged that cannot go out", within: .seconds(60)) {
            try await !probe.send(1, to: fleet).isEmpty
        }
        try await Task.sleep(for: .seconds(Self.brokerAway))
        // What it has begun to send, and nobody has, is for the next one to send.
        try await fleet.gateways[next].killed()
        try await eventually("a third gateway runs the sink") { fleet.allClaims == 3 }
        try await broker.start()
        start = .now
        try await recovers(probe, fleet, watcher)
        times.broker = .now - start

        let idle = try #require(fleet.gateways.indices.first { fleet.claims(of: $0) == 0 })
        let talk = try await talker.talk(to: idle, of: fleet)
        try await fleet.cluster.stop()
        talk.say(20)
        try await Task.sleep(for: .seconds(1))
        // What it has not stored by now goes with it.
        try await fleet.gateways[idle].killed()
        try await fleet.cluster.start()
        start = .now
        try await recovers(probe, fleet, watcher)
        times.database = .now - start
        try await talk.end()
        return times
    }

    private func recovers(_ probe: FaultDevice, _ fleet: FaultFleet, _ watcher: Victim) async throws {
        try await eventually("a message comes through again", within: .seconds(90)) {
            try await arrives(from: probe, fleet, watcher)
        }
    }

    /// Whether a message that is sent now is acknowledged; then it has to arrive.
    private func arrives(
        from probe: FaultDevice, _ fleet: FaultFleet, _ watcher: Victim
    ) async throws -> Bool {
        guard let text = try await probe.send(1, to: fleet).first else { return false }
        try await eventually("what was acknowledged arrives", within: .seconds(90)) {
            watcher.output.all.contains { $0.hasSuffix("|\(text)") }
        }
        return true
    }

    /// Gives how many messages were acknowledged, and how many arrivals were repeats.
    private func judge(_ devices: [FaultDevice], _ watcher: Victim) async throws -> (Int, Int) {
        let expected = devices.map(\.acknowledged).reduce(into: Set()) { $0.formUnion($1) }
        try await eventually("all that was acknowledged arrives", within: .seconds(60)) {
            expected.isSubset(of: Set(watcher.output.all.compactMap { Arrival($0)?.text }))
        }
        let arrivals = watcher.output.all.compactMap(Arrival.init)
        #expect(arrivals.count == watcher.output.count)
        let sentOnce = Set(devices.filter(\.hasOutbox).map(\.id))
        // Who drops what has a place that came before has each message once.
        var texts: [String: String] = [:]
        for arrival in arrivals where sentOnce.contains(arrival.device) {
            let place = try #require(arrival.place, "\(arrival)")
            let known = texts.updateValue(arrival.text, forKey: "\(arrival.device) \(place.box) \(place.seq)")
            #expect(known == nil || known == arrival.text)
        }
        #expect(Set(texts.values).count == texts.count)
        for device in devices {
            #expect(device.acknowledged.count > 0)
            if device.hasOutbox { #expect(device.acknowledged.isSubset(of: Set(texts.values))) }
        }
        return (expected.count, arrivals.count - Set(arrivals.map(\.text)).count)
    }
}
