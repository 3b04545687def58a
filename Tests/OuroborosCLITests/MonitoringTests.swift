import Foundation
import Testing

/// docs/monitoring names only what a gateway really exports. Tests/Monitoring reads the same files with promtool.
@Suite(.timeLimit(.minutes(1))) struct MonitoringTests {
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "../../docs/monitoring").standardized

    private func file(_ name: String) throws -> Data {
        try Data(contentsOf: Self.folder.appending(path: name))
    }

    private func dashboardQueries() throws -> [String] {
        let object = try JSONSerialization.jsonObject(with: try file("ouroboros.json"))
        let dashboard = try #require(object as? [String: Any])
        let panels = try #require(dashboard["panels"] as? [[String: Any]])
        return panels.flatMap { $0["targets"] as? [[String: Any]] ?? [] }.compactMap { $0["expr"] as? String }
    }

    private func ruleQueries() throws -> [String] {
        String(decoding: try file("rules.yaml"), as: UTF8.self)
            .split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
            .filter { $0.hasPrefix("expr: ") || $0.hasPrefix("rate(") }
    }

    @Test func queriesNameWhatIsExported() async throws {
        let scratch = try Scratch()
        #expect(try await Tool.run(["keygen", "--out", "fleet.key"], in: scratch).succeeded)
        let arguments = ["--fleet-key-file", "fleet.key", "--metrics", "127.0.0.1:0", "--echo"]
        _ = try await RunningGateway.with(arguments, in: scratch) { gateway in
            let load = [
                "--to", gateway.address, "--fleet-key-file", "fleet.key", "--devices", "3", "--seconds", "1",
            ]
            #expect(try await Tool.run(["fleet"] + load, in: scratch).succeeded)
            let metrics = try PrometheusText(try await gateway.get("metrics").1)
            let queries = (try dashboardQueries(), try ruleQueries())
            #expect(queries.0.count >= 20 && queries.1.count >= 10)
            for query in queries.0 + queries.1 {
                try check(query, metrics)
            }
        }
    }

    /// The series is there, its labels' values too; counters are looked at as rates, gauges are not.
    private func check(_ query: String, _ metrics: PrometheusText) throws {
        for match in query.matches(of: /(rate|increase)?(\()?(ouroboros_\w+)(\{[^}]*\})?/) {
            let name = String(match.3)
            let family = name.replacing(/_(bucket|sum|count)$/, with: "")
            let type = try #require(metrics.types[name] ?? metrics.types[family], "\(name) in \(query)")
            #expect((match.1 != nil) == (type != "gauge"), "\(name) in \(query)")
            for reason in (match.4 ?? "").matches(of: /reason="(\w+)"/) {
                #expect(metrics.samples["\(name){reason=\"\(reason.1)\"}"] != nil, "\(reason.0) in \(query)")
            }
        }
    }
}
