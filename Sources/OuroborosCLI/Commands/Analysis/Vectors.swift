import ArgumentParser
import Ouroboros
import OuroborosAnalysis
import OuroborosText

struct Vectors: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract:
            "Prints a file of test vectors, made from a seed, for those who test another implementation.",
        discussion: """
            The form is that of Tests/Vectors/ouroboros-v1.json, which appendix A of the protocol describes. The same \
            seed gives the same file. Its keys are public: they protect nothing.
            """)

    @Option(help: "Any number from 0 to 2^64 - 1.")
    var seed: UInt64

    func run() throws {
        try Output.write(Array(VectorFile(seed: seed).text.utf8))
    }
}
