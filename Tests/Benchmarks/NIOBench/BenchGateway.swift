import Foundation
import NIOCore
import Ouroboros
import OuroborosNIO
import Subprocess
import struct SystemPackage.FilePath

/// The gateway, in a process of its own.
enum BenchGateway {
    static let fleetKey: SecretKey = {
        guard let key = try? SecretKey([UInt8](repeating: 0x5a, count: 32)) else {
            preconditionFailure("32 bytes are a key")
        }
        return key
    }()

    static func credential(_ number: Int) throws -> Credential {
        try .fixed(device: DeviceID(number: UInt64(number)), fleetKey: fleetKey)
    }

    /// Arguments: "post N" (to each device that connects) or nothing.
    static func run(_ arguments: ArraySlice<String>) async throws {
        let posts = Int(arguments.dropFirst().first ?? "") ?? 0
        let loopback = try SocketAddress(ipAddress: "127.0.0.1", port: 0)
        var configuration = ServerConfiguration()
        configuration.pendingSessions = 1024
        if posts > 0 { configuration.places = 1000 * posts }
        try await OuroborosServer.withServer(
            at: [.udp(loopback), .tcp(loopback)], registry: FleetRegistry(fleetKey: fleetKey),
            configuration: configuration
        ) { server in
            print(server.endpoints.map { "\($0.address.port ?? 0)" }.joined(separator: " "))
            fflush(nil)
            var greeted: Set<DeviceID> = []
            for await batch in server.batches {
                batch.confirm()
                guard posts > 0 else { continue }
                for message in batch.messages where greeted.insert(message.device).inserted {
                    for _ in 0..<posts { _ = server.post(message.payload, to: message.device) }
                }
            }
        }
    }

    /// Runs `body` with the gateway's endpoints (UDP, TCP) and process.
    static func with(
        _ arguments: [String] = [], _ body: @Sendable @escaping ([Endpoint], pid_t) async throws -> Void
    ) async throws {
        _ = try await Subprocess.run(
            .path("/proc/self/exe"), arguments: .init(["gateway"] + arguments), input: .none,
            output: .sequence, error: .discarded
        ) { execution in
            var lines = execution.standardOutput.strings().makeAsyncIterator()
            let ports = (try await lines.next() ?? "").split(whereSeparator: \.isWhitespace)
                .compactMap { Int($0) }
            guard ports.count == 2 else { throw OuroborosError(.transport, "the gateway did not start") }
            let addresses = try ports.map { try SocketAddress(ipAddress: "127.0.0.1", port: $0) }
            defer { try? execution.send(signal: .kill) }
            try await body(
                [.udp(addresses[0]), .tcp(addresses[1])], pid_t(execution.processIdentifier.value))
        }
    }
}

enum System {
    /// Kilobytes.
    static func resident(_ process: String) -> Int {
        let text = (try? String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)) ?? ""
        let line = text.split(separator: "\n").first { $0.hasPrefix("VmRSS:") } ?? ""
        return line.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) } ?? 0
    }
}

extension Duration {
    var seconds: Double { self / .seconds(1) }
}

func rounded(_ value: Double, _ decimals: Int = 0) -> String {
    String(format: "%.\(decimals)f", value)
}

/// A line of fields that is seen at once, also through a pipe.
func report(_ fields: String...) {
    print(fields.joined(separator: "\t"))
    fflush(nil)
}
