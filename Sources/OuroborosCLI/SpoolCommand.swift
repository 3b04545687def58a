import ArgumentParser
import CommandKit
import Ouroboros
import OuroborosStore

struct SpoolCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "spool", abstract: "The messages that a gateway stored.",
        subcommands: [List.self, Trim.self])

    struct FileOption: ParsableArguments {
        @Option(help: "The gateway's spool.")
        var spool: String

        func open() throws -> Spool {
            try PrivateFile.check(spool)
            return try Spool(path: spool)
        }
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Prints the messages, one JSON line each, in the order they were stored.")

        @OptionGroup var file: FileOption

        @Option(help: "Only those after the message with this id.")
        var after: Int64 = 0

        func run() throws {
            let spool = try file.open()
            var last = after
            while true {
                let messages = try spool.messages(after: last)
                guard let end = messages.last?.id else { return }
                try Output.write(messages.flatMap { MessageLine.line(for: $0) })
                last = end
            }
        }
    }

    struct Trim: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Removes messages that were worked off; none of them is stored again.")

        @OptionGroup var file: FileOption

        @Option(help: "The id of the last message to remove.")
        var through: Int64

        func run() throws {
            Output.note("ouroboros: \(try file.open().remove(through: through)) messages removed")
        }
    }
}
