import Ouroboros
import OuroborosNIO

/// From nothing to a confirmed session, and its end.
enum Handshakes {
    static func measure(_ devices: Int) async throws {
        let workers = 32
        try await BenchGateway.with { endpoints, _ in
            for isStream in [false, true] {
                let clock = ContinuousClock()
                let begin = clock.now
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for worker in 0..<workers {
                        group.addTask {
                            for number in stride(from: worker, to: devices, by: workers) {
                                let connection = try await OuroborosClient.connect(
                                    to: endpoints[isStream ? 1 : 0],
                                    credential: BenchGateway.credential(number + 1))
                                await connection.closeAtOnce()
                            }
                        }
                    }
                    try await group.waitForAll()
                }
                let rate = Double(devices) / (clock.now - begin).seconds
                report("handshakes", isStream ? "tcp" : "udp", rounded(rate))
            }
        }
    }
}
