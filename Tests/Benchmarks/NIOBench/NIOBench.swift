import Foundation
import Ouroboros
import OuroborosNIO

/// Measures what `ouroboros bench` cannot: handshakes a second and resident memory, the gateway in a process of
/// its own. It prints lines of tab-separated fields; only `flood`, which has the real gateway, can fail.
@main
enum NIOBench {
    static func main() async throws {
        let arguments = Array(CommandLine.arguments.dropFirst())
        do {
            switch arguments.first {
            case "gateway": try await BenchGateway.run(arguments.dropFirst())
            case "flood": try await Flood.measure(arguments.dropFirst())
            case "idle": try await Memory.idleClient(arguments.dropFirst())
            case "quick": try await measure(handshakes: 400, sessions: [1, 1000])
            default: try await measure(handshakes: 4000, sessions: [1, 1000, 10_000])
            }
        } catch {
            FileHandle.standardError.write(Data("NIOBench: \(error)\n".utf8))
            exit(1)
        }
    }

    private static func measure(handshakes: Int, sessions: [Int]) async throws {
        try await Handshakes.measure(handshakes)
        try await Memory.measure(sessions)
    }
}
