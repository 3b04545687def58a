import Foundation
import TestSupport
import Testing

/// A package of a user's, without unsafe flags and with the engine alone.
@Suite(.timeLimit(.minutes(10)), .serialized) struct ConsumerTests {
    let scratch: Scratch
    private let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().path

    init() throws {
        scratch = try Scratch()
    }

    private func shell(_ script: String, _ arguments: String...) async throws -> Tool.Outcome {
        try await Tool.run("/bin/sh", ["-euc", script, "sh"] + arguments, in: scratch, within: .seconds(500))
    }

    @Test func byPath() async throws {
        let built = try await shell(
            """
            swift build --package-path "$1/Tests/Consumer" --scratch-path build >&2
            build/debug/Consumer
            """, root)
        #expect(built.succeeded, "\(built.errors)\(built.output)")
        #expect(built.output == "HELLO of 60 bytes\n")
    }

    @Test func byURL() async throws {
        let built = try await shell(
            """
            mkdir ouroboros consumer
            (cd "$1" && git ls-files -co --exclude-standard -z | tar --null -T - -cf - --ignore-failed-read) |
                tar -xf - -C ouroboros
            cp -R ouroboros/Tests/Consumer/. consumer
            cd ouroboros
            git init -q
            git add -A
            git -c user.name=test -c user.email=test@localhost commit -qm test
            git tag 1.0.0
            cd ../consumer
            OUROBOROS_URL="file://$PWD/../ouroboros" swift build --scratch-path ../build >&2
            ../build/debug/Consumer
            grep -c '"identity"' ../build/workspace-state.json
            """, root)
        #expect(built.succeeded, "\(built.errors)\(built.output)")
        // Nothing is fetched but the package itself.
        #expect(built.output == "HELLO of 60 bytes\n1\n")
    }
}
