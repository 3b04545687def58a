import Foundation
import LibC
import NIOCore
import Ouroboros
import OuroborosNIO
import Subprocess

/// Good traffic of one device through the real gateway, alone and beside a flood of forged packets. Ends with an error
/// when a message is lost or comes twice, or when the gateway grows.
enum Flood {
    /// Kilobytes that the gateway may grow by.
    private static let mostGrowth = 4096
    private static let messagesPerSecond = 100

    static func measure(_ arguments: ArraySlice<String>) async throws {
        let numbers = arguments.compactMap { Int($0) }
        let (seconds, rate, seed) = (
            numbers.first ?? 60, numbers.dropFirst().first ?? 10_000, numbers.dropFirst(2).first ?? 1
        )
        guard numbers.count == arguments.count, (1...600).contains(seconds), (1...100_000).contains(rate)
        else {
            throw OuroborosError(
                .invalidConfiguration, "flood [SECONDS (1 to 600) [PACKETS A SECOND (1 to 100000) [SEED]]]")
        }
        let place = try FloodPlace()
        defer { place.remove() }
        try await place.withGateway { gateway in
            let traffic = try await FloodTraffic.connect(to: gateway.address, of: place)
            // What is touched for the first time is no growth.
            _ = try await traffic.send(seconds: min(seconds, 3), perSecond: messagesPerSecond)
            let quiet = try await traffic.send(seconds: min(seconds, 20), perSecond: messagesPerSecond)
            let before = System.resident("\(gateway.process)")
            async let attack = place.flood(gateway.address, rate: rate, seconds: seconds, seed: seed)
            async let peak = peakResident(of: gateway.process, seconds: seconds)
            let flooded = try await traffic.send(seconds: seconds, perSecond: messagesPerSecond)
            report("flood of seed \(seed): \(try await attack)")
            let growth = max(await peak, System.resident("\(gateway.process)")) - before
            let sent = await traffic.close()
            try await gateway.waitForLines(sent)
            let texts = gateway.texts
            report(describe("alone", quiet))
            report(describe("flooded", flooded))
            report(
                "p99 flooded / alone: \(rounded(flooded.percentile(99) / quiet.percentile(99), 1)) "
                    + "(5 are allowed); resident: \(before) KB, growth \(growth) KB (\(mostGrowth) are allowed)"
            )
            report("\(sent) messages acknowledged, \(Set(texts).count) handed on, \(texts.count) lines")
            guard Set(texts) == Set((0..<sent).map(String.init)), texts.count == sent else {
                throw OuroborosError(.failed, "messages were lost, or came twice")
            }
            guard growth <= mostGrowth else {
                throw OuroborosError(.limit, "the gateway grew by \(growth) KB")
            }
        }
    }

    private static func describe(_ name: String, _ times: Latencies) -> String {
        "\(name): \(times.count) messages, p50 \(rounded(times.percentile(50))) us, "
            + "p99 \(rounded(times.percentile(99))) us, most \(rounded(times.percentile(100))) us"
    }

    private static func peakResident(of process: pid_t, seconds: Int) async -> Int {
        var peak = 0
        for _ in 0..<seconds * 10 {
            peak = max(peak, System.resident("\(process)"))
            try? await Task.sleep(for: .milliseconds(100))
        }
        return peak
    }
}

/// Microseconds from sending to knowing that it was delivered.
struct Latencies: Sendable {
    private let sorted: [Double]

    init(_ times: [Double]) {
        sorted = times.sorted()
    }

    var count: Int { sorted.count }

    func percentile(_ share: Int) -> Double {
        sorted.isEmpty ? .nan : sorted[min(sorted.count - 1, sorted.count * share / 100)]
    }
}

/// One device that sends numbers, at a steady pace, and is overheard.
final class FloodTraffic: Sendable {
    private let connection: OuroborosConnection
    private let sent = Locked(0)

    private init(_ connection: OuroborosConnection) {
        self.connection = connection
    }

    static func connect(to address: SocketAddress, of place: FloodPlace) async throws -> FloodTraffic {
        var configuration = ClientConfiguration()
        configuration.link.tap = PacketTap { event in
            if case .sent(let packet, _, _) = event { place.hear(packet) }
        }
        return FloodTraffic(
            try await OuroborosClient.connect(
                to: address, credential: place.credential, configuration: configuration))
    }

    func send(seconds: Int, perSecond: Int) async throws -> Latencies {
        let clock = ContinuousClock()
        let begin = clock.now
        let times = try await withThrowingTaskGroup(of: Double.self) { group in
            for number in 0..<seconds * perSecond {
                try await clock.sleep(until: begin + .seconds(1) * number / perSecond)
                let text = sent.withLock { sent in
                    sent += 1
                    return "\(sent - 1)"
                }
                group.addTask { [connection] in
                    let start = clock.now
                    try await connection.send(Array(text.utf8))
                    return (clock.now - start) / .microseconds(1)
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        return Latencies(times)
    }

    /// Gives how many were sent in all.
    func close() async -> Int {
        await connection.close()
        return sent.withLock { $0 }
    }
}
