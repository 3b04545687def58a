import Ouroboros
import OuroborosNIO

/// Measures what `ouroboros bench` cannot: handshakes a second and resident memory, the gateway in a process of
/// its own. It prints lines of tab-separated fields; nothing here passes or fails.
@main
enum NIOBench {
    static func main() async throws {
        let arguments = Array(CommandLine.arguments.dropFirst())
        switch arguments.first {
        case "gateway": try await BenchGateway.run(arguments.dropFirst())
        case "idle": try await Memory.idleClient(arguments.dropFirst())
        case "quick": try await measure(handshakes: 400, sessions: [1, 1000])
        default: try await measure(handshakes: 4000, sessions: [1, 1000, 10_000])
        }
    }

    private static func measure(handshakes: Int, sessions: [Int]) async throws {
        try await Handshakes.measure(handshakes)
        try await Memory.measure(sessions)
    }
}
