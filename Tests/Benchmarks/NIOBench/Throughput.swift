import Ouroboros
import OuroborosNIO

/// One-way reliable messages: each counts once its sender knows that it was delivered.
enum Throughput {
    static func measure(clients: Int, size: Int, isStream: Bool) async throws {
        let each = (size > 500 ? 40_000 : 100_000) / clients
        try await BenchGateway.with { endpoints, _ in
            let endpoint = endpoints[isStream ? 1 : 0]
            var connections: [OuroborosConnection] = []
            for number in 1...clients {
                connections.append(
                    try await OuroborosClient.connect(
                        to: endpoint, credential: BenchGateway.credential(number)))
            }
            let payload = [UInt8](repeating: 0x61, count: size)
            // Once to warm up.
            try await sendAll(over: connections, payload, each / 10)
            let clock = ContinuousClock()
            let begin = clock.now
            try await sendAll(over: connections, payload, each)
            let time = clock.now - begin
            let rate = Double(each * clients) / time.seconds
            report(
                "throughput \(isStream ? "tcp" : "udp") \(size) bytes, \(clients) clients: "
                    + "\(rounded(rate)) messages/s")
            for connection in connections {
                await connection.closeAtOnce()
            }
        }
    }

    private static func sendAll(
        over connections: [OuroborosConnection], _ payload: [UInt8], _ each: Int
    ) async throws {
        // As many senders as keep the path full.
        let senders = connections.count == 1 ? 64 : 8
        try await withThrowingTaskGroup(of: Void.self) { group in
            for connection in connections {
                for _ in 0..<senders {
                    group.addTask {
                        for _ in 0..<each / senders {
                            try await connection.send(payload)
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
    }
}

/// A 64-byte message to the gateway's application and back.
enum RoundTrip {
    static func measure(isStream: Bool) async throws {
        try await BenchGateway.with(["echo"]) { endpoints, _ in
            let connection = try await OuroborosClient.connect(
                to: endpoints[isStream ? 1 : 0], credential: BenchGateway.credential(1))
            let payload = [UInt8](repeating: 0x61, count: 64)
            var messages = connection.messages.makeAsyncIterator()
            let clock = ContinuousClock()
            var times: [Double] = []
            for round in 0..<11_000 {
                let begin = clock.now
                let pending = try await connection.enqueue(payload)
                _ = await messages.next()
                if round >= 1000 { times.append((clock.now - begin).microseconds) }
                try await pending.delivered()
            }
            times.sort()
            report(
                "round trip \(isStream ? "tcp" : "udp") 64 bytes: p50 \(rounded(times[times.count / 2])) us, "
                    + "p99 \(rounded(times[times.count * 99 / 100])) us")
            await connection.closeAtOnce()
        }
    }
}

/// From nothing to a confirmed session, and its end.
enum Handshakes {
    static func measure() async throws {
        let (devices, workers) = (4000, 32)
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
                report("handshakes \(isStream ? "tcp" : "udp"): \(rounded(rate))/s, a socket each")
            }
        }
    }
}
