import ArgumentParser
import Ouroboros
import OuroborosGateway
import OuroborosStore
import OuroborosText

struct SpoolCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "spool", abstract: "The messages that a gateway stored.",
        subcommands: [List.self, Trim.self, Forget.self, Retry.self])

    struct FileOption: ParsableArguments {
        @Option(help: "The gateway's spool.")
        var spool: String?

        @Option(help: "In its place: the gateways' PostgreSQL database, postgres://USER@HOST/DATABASE.")
        var registry: String?

        func validate() throws {
            guard (spool == nil) != (registry == nil) else {
                throw ValidationError("give --spool FILE or --registry URL, one of them")
            }
        }

        func open() throws -> any SinkStore {
            if let registry { return tellingUnreadable(try SharedRegistry(registry, nil).messages) }
            let path = spool ?? ""
            try PrivateFile.check(path)
            return tellingUnreadable(try Spool(path: path))
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Prints the messages, one JSON line each, in the order they were stored.")

        @OptionGroup var file: FileOption

        @Option(help: "Only those after the message with this id.")
        var after: Int64 = 0

        @Flag(help: "In their place those that a sink refused for good, with the sink and the reason.")
        var dead = false

        func validate() throws {
            guard !dead || after == 0 else {
                throw ValidationError(
                    "--after is for the messages of the spool, and means nothing with --dead")
            }
        }

        func run() async throws {
            let spool = try file.open()
            if dead { return try await printDead(in: spool) }
            var last = after
            while true {
                let page = try await spool.page(after: last, limit: 1000)
                guard let end = page.end else { return }
                try Output.write(page.messages.flatMap { MessageLine.line(for: $0) })
                for (id, reason) in page.unreadable.sorted(by: { $0.key < $1.key }) {
                    Output.note("ouroboros: message \(id) is left out: \(reason)")
                }
                last = end
            }
        }

        private func printDead(in spool: any SinkStore) async throws {
            var last: DeadLetter?
            while true {
                let letters = try await spool.deadLetters(after: last, limit: 1000)
                guard !letters.isEmpty else { return }
                try Output.write(letters.flatMap { MessageLine.line(for: $0) })
                last = letters.last
            }
        }
    }

    struct Trim: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Removes messages that were worked off; none of them is stored again.")

        @OptionGroup var file: FileOption

        @Option(help: "The id of the last message to remove.")
        var through: Int64

        @Flag(help: "Removes those that a sink refused for good in their place.")
        var dead = false

        func run() async throws {
            let spool = try file.open()
            let count =
                dead
                ? try await spool.removeDeadLetters(through: through)
                : try await spool.remove(through: through)
            Output.note("ouroboros: \(count) messages removed")
        }
    }

    struct Forget: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Takes out a sink that no gateway has any more, so that no message waits for it.")

        @OptionGroup var file: FileOption

        @Option(help: "The sink: mqtt, http, stdout or file.")
        var sink: String

        func run() async throws {
            guard try await file.open().forget(sink: sink) else {
                throw OuroborosError(.invalidConfiguration, "the spool knows no sink “\(sink)”")
            }
            Output.note("ouroboros: the sink “\(sink)” is forgotten")
        }
    }

    struct Retry: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract:
                "Gives messages that a sink refused for good to it again; a gateway does so within seconds.")

        @OptionGroup var file: FileOption

        @Option(help: "Only those of this sink: mqtt or http.")
        var sink: String?

        @Option(help: "Only the message with this id.")
        var id: Int64?

        func run() async throws {
            let count = try await file.open().retryDeadLetters(of: sink, id: id)
            Output.note("ouroboros: \(count) messages are tried again")
        }
    }
}
