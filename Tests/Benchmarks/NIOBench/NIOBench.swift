import Foundation
import NIOCore
import Ouroboros
import OuroborosNIO

/// Measures the Swift library over loopback, the gateway in a process of its own. Only `flood` can fail.
@main
enum NIOBench {
    static func main() async throws {
        let arguments = Array(CommandLine.arguments.dropFirst())
        do {
            switch arguments.first {
            case "gateway": try await BenchGateway.run(arguments.dropFirst())
            case "flood": try await Flood.measure(arguments.dropFirst())
            case "idle": try await Memory.idleClient(arguments.dropFirst())
            default: try await measure(arguments.first ?? "")
            }
        } catch {
            FileHandle.standardError.write(Data("NIOBench: \(error)\n".utf8))
            exit(1)
        }
    }

    private static func measure(_ only: String) async throws {
        report("machine: \(System.description)")
        if only.isEmpty || only == "throughput" {
            for isStream in [false, true] {
                for size in [64, 1024] {
                    for clients in [1, 100] {
                        try await Throughput.measure(clients: clients, size: size, isStream: isStream)
                    }
                }
            }
        }
        if only.isEmpty || only == "roundtrip" {
            try await RoundTrip.measure(isStream: false)
            try await RoundTrip.measure(isStream: true)
        }
        if only.isEmpty || only == "handshakes" {
            try await Handshakes.measure()
        }
        if only.isEmpty || only == "memory" {
            try await Memory.measure()
        }
    }
}
