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
        try await errors.port(after: "metrics on")
    }

    func get(_ path: String) async throws -> (HTTPURLResponse, String) {
        let url = try #require(URL(string: "http://127.0.0.1:\(try await metricsPort())/\(path)"))
        let (data, response) = try await URLSession.shared.data(from: url)
        return (try #require(response as? HTTPURLResponse), String(decoding: data, as: UTF8.self))
    }
}
