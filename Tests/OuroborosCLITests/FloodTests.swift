import TestSupport
import Testing

/// `make flood` runs the same for a minute, and optimised; only delivery and memory are judged.
@Suite(.timeLimit(.minutes(5))) struct FloodTests {
    @Test func aFloodLosesNoMessageAndTakesNoMemory() async throws {
        let scratch = try Scratch()
        let outcome = try await Tool.run(Tool.built("NIOBench"), ["flood", "3", "10000", "1"], in: scratch)
        print(outcome.output)
        #expect(outcome.succeeded, "\(outcome.output)\(outcome.errors)")
        #expect(outcome.output.contains("messages acknowledged"))
    }
}
