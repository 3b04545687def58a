import Foundation
import NIOCore
import Ouroboros
import OuroborosNIO
import Subprocess
import SystemPackage

/// Resident memory, in kilobytes.
enum Memory {
    static func measure(_ counts: [Int]) async throws {
        try await BenchGateway.with { endpoints, _ in
            let port = endpoints[0].address.port ?? 0
            _ = try await Subprocess.run(
                .path("/proc/self/exe"), arguments: ["idle", "\(port)"], input: .none, output: .sequence,
                error: .discarded
            ) { execution in
                var lines = execution.standardOutput.strings().makeAsyncIterator()
                _ = try await lines.next()
                try await Task.sleep(for: .milliseconds(500))
                report("idle client", "\(System.resident("\(execution.processIdentifier.value)"))")
                try? execution.send(signal: .kill)
            }
        }
        for sessions in counts {
            try await gateway(sessions: sessions)
        }
        try await gateway(sessions: 1000, posts: 4)
        try await gateway(sessions: 1000, rekeys: true)
    }

    static func idleClient(_ arguments: ArraySlice<String>) async throws {
        let port = Int(arguments.first ?? "") ?? 0
        let connection = try await OuroborosClient.connect(
            to: HostAndPort(host: "127.0.0.1", port: port).resolve(),
            credential: BenchGateway.credential(1))
        print("connected")
        fflush(nil)
        for await _ in connection.messages {}
    }

    private static func gateway(sessions: Int, posts: Int = 0, rekeys: Bool = false) async throws {
        try await BenchGateway.with(posts > 0 ? ["post", "\(posts)"] : []) { endpoints, process in
            try await Task.sleep(for: .milliseconds(300))
            let before = System.resident("\(process)")
            var configuration = ConnectionPool.Configuration()
            configuration.maximumConnections = sessions
            // The clients' own memory is not what is measured.
            configuration.client.link.reach = 8
            configuration.client.link.places = 2
            configuration.client.link.sessions = rekeys ? 2 : 1
            configuration.client.link.tails = 2
            configuration.client.acknowledgement = .whenConfirmed
            let pool = try ConnectionPool(configuration: configuration)
            let connections = try await withThrowingTaskGroup(of: [OuroborosConnection].self) { group in
                let workers = 16
                for worker in 0..<workers {
                    group.addTask {
                        var made: [OuroborosConnection] = []
                        for number in stride(from: worker, to: sessions, by: workers) {
                            let connection = try await pool.connect(
                                to: endpoints[0].address, credential: BenchGateway.credential(number + 1))
                            try await connection.send([1])
                            if rekeys {
                                try await connection.rekey()
                                try await connection.send([2])
                            }
                            made.append(connection)
                        }
                        return made
                    }
                }
                return try await group.reduce(into: []) { $0 += $1 }
            }
            try await Task.sleep(for: .seconds(1))
            let after = System.resident("\(process)")
            let kind =
                posts > 0
                ? ", \(posts) messages in flight to each" : rekeys ? ", each with a predecessor" : ""
            report(
                "gateway", "\(sessions) sessions\(kind)", "\(before)", "\(after)",
                rounded(Double(after - before) / Double(sessions), 1))
            for connection in connections {
                await connection.closeAtOnce()
            }
        }
    }
}
