import ArgumentParser
import Ouroboros
import OuroborosStore
import OuroborosText

struct OutboxCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "outbox", abstract: "What waits on a device for its gateway.",
        subcommands: [Show.self, Flush.self, Clear.self])

    struct FileOption: ParsableArguments {
        @Option(help: "The outbox's file.")
        var outbox: String

        func open() throws -> Outbox {
            try PrivateFile.check(outbox)
            return try Outbox(in: DeviceState(path: outbox))
        }
    }

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Prints how much waits, a name and a value a line; or the messages.")

        @OptionGroup var file: FileOption

        @Flag(help: "Prints the messages, one JSON line each, oldest first.")
        var messages = false

        func run() throws {
            let outbox = try file.open()
            if messages {
                var last: Int64 = 0
                while true {
                    let entries = try outbox.entries(after: last)
                    guard let end = entries.last?.id else { return }
                    try Output.write(entries.flatMap { MessageLine.line(for: $0) })
                    last = end
                }
            }
            let summary = try outbox.summary()
            let lines = [
                ("messages", "\(summary.messages)"), ("bytes", "\(summary.bytes)"),
                ("oldest", summary.oldest.map { WallClock.string(seconds: $0) } ?? "none"),
                ("dropped", "\(summary.dropped)"), ("box", "\(summary.box)"),
                ("next seq", "\(summary.nextSequence)"),
            ]
            for (name, value) in lines {
                try Output.line("\(name)\t\(value)")
            }
        }
    }

    struct Flush: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Sends what waits; the exit status is 0 only if all was delivered.")

        @OptionGroup var client: ClientOptions
        @OptionGroup var file: FileOption

        func run() async throws {
            try PrivateFile.check(file.outbox)
            let identity = try client.identity()
            let outbox = try OutboxOptions.open(file.outbox, sharing: identity.store)
            let delivery = OutboxDelivery(
                outbox: outbox, client: client, identity: identity,
                logger: client.log.logger("ouroboros.outbox"))
            delivery.sender.finish()
            defer {
                Output.note("ouroboros: \(delivery.delivered) delivered")
                delivery.noteUnremoved()
            }
            if !outbox.isEmpty {
                try await delivery.run()
            }
        }
    }

    struct Clear: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Throws away what waits, and begins a new box.",
            discussion:
                "To be done with an outbox that came back from a backup: its numbers were used before.")

        @OptionGroup var file: FileOption

        func run() throws {
            Output.note("ouroboros: \(try file.open().clear()) messages thrown away")
        }
    }
}
