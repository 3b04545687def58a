import Board
import Ouroboros

/// The test image in Embedded Swift: a device and its gateway, both of the library that Linux has, on a
/// clock of their own.
@main
struct SwiftImage {
    static let messages = 200
    static let nights = 3

    static func main() {
        do throws(OuroborosError) {
            try run(kind: .fixed)
            try run(kind: .evolving)
        } catch {
            Console.write("failed: \(error.message)\n")
            board_exit(1)
        }
        Console.write("heap: \(runtime_heap_bytes()) bytes at the most\n")
        Console.write("2 passed, 0 failed\n")
        board_exit(0)
    }

    static func run(kind: Credential.Kind) throws(OuroborosError) {
        let two = try Two(kind)
        for number in 0..<messages {
            try two.send([UInt8](repeating: UInt8(truncatingIfNeeded: number), count: 1 + number % 64))
        }
        for _ in 0..<nights {
            try two.sleepOneHour()
            try two.send([1, 2, 3])
        }
        try two.answer([UInt8]("open the valve".utf8))
        guard two.sessions == 1, two.handedOn == messages + nights + 1, two.epochs == (kind == .fixed ? 0 : 2)
        else {
            throw OuroborosError(
                .wrongState, "the sessions, messages or epochs are not as many as they should")
        }
    }
}
