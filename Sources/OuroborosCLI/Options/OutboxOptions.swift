import ArgumentParser
import Ouroboros
import OuroborosStore

struct OutboxOptions: ParsableArguments {
    @Option(
        help: """
            A file in which messages wait until the gateway acknowledged them; it may be the one of --state.
            """)
    var outbox: String?

    @Option(help: "How many messages the outbox holds; then the oldest are dropped, and counted.")
    var outboxMessages = Outbox.Limits().messages

    @Option(help: "How many bytes of messages it holds.")
    var outboxBytes = Outbox.Limits().bytes

    @Option(help: "How old a message in it becomes.")
    var outboxAge = TimeArgument(.seconds(Outbox.Limits().age))

    func open(sharing state: DeviceState?) throws -> Outbox? {
        guard let outbox else { return nil }
        var limits = Outbox.Limits()
        limits.messages = outboxMessages
        limits.bytes = outboxBytes
        limits.age = max(1, outboxAge.duration.components.seconds)
        return try Self.open(outbox, sharing: state, limits: limits)
    }

    static func open(
        _ path: String, sharing state: DeviceState?, limits: Outbox.Limits = .init()
    ) throws -> Outbox {
        if let state, PrivateFile.isSame(state.path, path) {
            return try Outbox(in: state, limits: limits)
        }
        // It holds no keys, so it needs none.
        return try Outbox(in: DeviceState(path: path), limits: limits)
    }
}
