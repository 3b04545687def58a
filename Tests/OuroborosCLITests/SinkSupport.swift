import Foundation
import NIOCore
import Ouroboros
import OuroborosNIO
import TestSupport
import Testing

/// A gateway with one device, for tests of what stands behind it.
struct Site: Sendable {
    let scratch: Scratch
    let device = "0102030405060708"

    init() async throws {
        scratch = try Scratch()
        try await Tool.provision(device, ["--name", "kitchen"], in: scratch)
    }

    /// A gateway with a spool that stays what it is until it is killed.
    func gateway(at address: String = "127.0.0.1:0", _ more: [String]) async throws -> Victim {
        let gateway = Victim(
            ["gateway", "--store", "gw.sqlite", "--spool", "spool", "--bind", address] + more, in: scratch)
        await gateway.start()
        _ = try await port(of: "listening on", gateway)
        return gateway
    }

    func port(of words: String, _ gateway: Victim) async throws -> String {
        try await gateway.port(of: words)
    }

    func client(_ command: String..., to address: String) -> [String] {
        command + ["--to", address, "--device", device, "--root-key-file", "root.key"]
    }

    func connected(
        to port: String, _ body: (OuroborosConnection) async throws -> Void
    ) async throws {
        try await scratch.connected(device, to: port, body)
    }

    func sample(_ name: String, of gateway: Victim) async throws -> Double? {
        try await gateway.sample(name)
    }
}

/// What a gateway's log and /metrics tell.
extension Victim {
    /// The port that the log tells after these words.
    func port(of words: String) async throws -> String {
        String(try await errors.port(after: words))
    }

    func sample(_ name: String) async throws -> Double? {
        try PrometheusText(try await get("metrics").1).samples[name]
    }
}

extension Scratch {
    /// A device in this process with the key of root.key, connected while `body` runs.
    func connected(
        _ device: String, to port: String, _ body: (OuroborosConnection) async throws -> Void
    ) async throws {
        let credential = Credential.fixed(
            device: try DeviceID(hex: device), rootKey: try RootKey(hex: Array(read("root.key").utf8)))
        let address = try SocketAddress(ipAddress: "127.0.0.1", port: #require(Int(port)))
        try await OuroborosClient.withConnection(to: address, credential: credential) { connection in
            try await body(connection)
        }
    }
}

/// The objects of JSON lines.
func objects(_ lines: some Sequence<String>) -> [[String: any Sendable]] {
    lines.compactMap { (try? JSONSerialization.jsonObject(with: Data($0.utf8))) as? [String: any Sendable] }
}
