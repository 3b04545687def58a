import Foundation
import FoundationNetworking
import Testing

/// A gateway with `--metrics`, whose log tells where it answers over HTTP.
protocol GatewayOverHTTP {
    var errors: Lines { get }
}

extension RunningGateway: GatewayOverHTTP {}
extension Victim: GatewayOverHTTP {}

extension GatewayOverHTTP {
    func metricsPort() async throws -> Int {
        let line = try #require(try await errors.first(containing: "metrics on"))
        return try #require(line.split(separator: " ").last.flatMap { Int($0) })
    }

    func get(_ path: String) async throws -> (HTTPURLResponse, String) {
        let url = try #require(URL(string: "http://127.0.0.1:\(try await metricsPort())/\(path)"))
        let (data, response) = try await URLSession.shared.data(from: url)
        return (try #require(response as? HTTPURLResponse), String(decoding: data, as: UTF8.self))
    }
}
