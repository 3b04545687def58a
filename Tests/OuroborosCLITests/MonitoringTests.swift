import Foundation
import TestSupport
import Testing

/// docs/monitoring names only what a gateway really exports. Tests/Monitoring reads the same files with promtool.
@Suite(.timeLimit(.minutes(6))) struct MonitoringTests {
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

    /// Lines of expressions: nothing else in the file names a series.
    private func ruleQueries() throws -> [String] {
        String(decoding: try file("rules.yaml"), as: UTF8.self).split(separator: "\n").map(String.init)
            .filter { $0.contains("ouroboros_") }
    }

    @Test func queriesNameWhatIsExported() async throws {
        let scratch = try Scratch()
        for name in ["fleet.key", "kek", "secret"] {
            #expect(try await Tool.run(["keygen", "--out", name], in: scratch).succeeded)
        }
        try scratch.write("s3cret\n", to: "token")
        let metrics = ["--metrics", "127.0.0.1:0"]
        let collector = Collector()
        try await collector.serving { url in
            let outputs = [
                "--spool", "spool", "--sink-http", url, "--downlink", "queue", "--downlink-http",
                "127.0.0.1:0", "--downlink-token-file", "token",
            ]
            _ = try await RunningGateway.with(
                ["--fleet-key-file", "fleet.key", "--echo"] + outputs + metrics, in: scratch
            ) { alone in
                let load = [
                    "--to", alone.address, "--fleet-key-file", "fleet.key", "--devices", "3", "--seconds",
                    "1",
                ]
                #expect(try await Tool.run(["fleet"] + load, in: scratch).succeeded)
                try await PostgresCluster.with { cluster in
                    let sharing = [
                        "--registry", cluster.url, "--kek-file", "kek", "--gateway-number", "1",
                        "--fleet-secret-file", "secret", "--forward-bind", "127.0.0.1:0", "--peer",
                        "2=127.0.0.1:1",
                    ]
                    _ = try await RunningGateway.with(sharing + metrics, in: scratch) { shared in
                        try await checkQueries([alone, shared])
                    }
                }
            }
        }
    }

    private func checkQueries(_ gateways: [RunningGateway]) async throws {
        var exported: [PrometheusText] = []
        for gateway in gateways {
            exported.append(try PrometheusText(try await gateway.get("metrics").1))
        }
        let queries = (try dashboardQueries(), try ruleQueries())
        #expect(queries.0.count >= 40 && queries.1.count >= 20)
        for query in queries.0 + queries.1 {
            try check(query, exported)
        }
    }

    /// The series is there, its labels' values too; counters are looked at as rates, gauges are not.
    private func check(_ query: String, _ exported: [PrometheusText]) throws {
        let matches = query.matches(of: /(rate|increase)?(\()?(ouroboros_\w+)(\{[^}]*\})?/)
        #expect(!matches.isEmpty, "\(query)")
        for match in matches {
            let name = String(match.3)
            let metrics = try #require(
                exported.first { text in
                    text.samples.keys.contains { $0 == name || $0.hasPrefix(name + "{") }
                }, "\(name) in \(query)")
            let family = name.replacing(/_(bucket|sum|count)$/, with: "")
            let type = try #require(metrics.types[name] ?? metrics.types[family], "\(name) in \(query)")
            #expect((match.1 != nil) == (type != "gauge"), "\(name) in \(query)")
            for label in (match.4 ?? "").matches(of: /(reason|outcome)=~?"([\w|]+)"/) {
                for value in label.2.split(separator: "|") {
                    #expect(
                        metrics.samples["\(name){\(label.1)=\"\(value)\"}"] != nil, "\(label.0) in \(query)")
                }
            }
        }
    }
}
