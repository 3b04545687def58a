import ArgumentParser
import Ouroboros
import OuroborosNIO
import SensorKit

struct Sensor: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Reads a real source on a timer and sends the readings.",
        discussion: """
            The source is a thermal zone of the kernel's when there is one, else load and memory; or what a command \
            prints. SIGINT and SIGTERM end it, after what is under way was sent. With --outbox readings wait on disk \
            while the gateway is away, over restarts too.
            """)

    @OptionGroup var client: ClientOptions

    @OptionGroup var outbox: OutboxOptions

    @Option(help: "The time between two readings.")
    var interval = TimeArgument(.seconds(10))

    @Option(help: "How many readings; without it, until it is stopped.")
    var count: Int?

    @Option(help: "A shell command whose output is the reading.")
    var command: String?

    @Option(help: "How long the command may take; then it is ended, with all that it started.")
    var commandTimeout = TimeArgument(SensorCommand.usualTimeout)

    @Option(
        help: """
            A shell command that is run for each message to this device, with the message on its input; then the message \
            is acknowledged. Without it messages are thrown away.
            """)
    var onMessage: String?

    @Flag(help: "One thread and a plain UDP socket, in a program of its own: for small machines.")
    var lean = false

    func run() async throws {
        if let count, count < 1 {
            throw OuroborosError(.invalidConfiguration, "--count is at least 1, not \(count)")
        }
        guard !lean || onMessage == nil else {
            throw OuroborosError(.invalidConfiguration, "--lean takes no messages: leave --on-message out")
        }
        var identity = try client.identity()
        identity.configuration.acknowledgement = onMessage == nil ? .whenTaken : .whenConfirmed
        let logger = client.log.logger("ouroboros.sensor")
        let taker = MessageTaker(
            command: onMessage.map { SensorCommand($0, timeout: commandTimeout.duration) }, logger: logger)
        let source =
            command.map { .command(SensorCommand($0, timeout: commandTimeout.duration)) }
            ?? SensorSource.automatic()
        let outbox = try outbox.open(sharing: identity.store)
        if lean, outbox == nil {
            return try runLean(source, identity)
        }
        // A source that cannot be read is told before anything is sent.
        let readings = SensorReadings(source: source, first: try await source.reading())
        if let outbox {
            let delivery = OutboxDelivery(
                outbox: outbox, client: client, identity: identity, logger: logger, taker: taker)
            return try await OutboxSensorService(
                delivery: delivery, readings: readings, interval: interval.duration, count: count
            ).runUntilSignalled()
        }
        let connection = try await OuroborosClient.connect(
            to: identity.server, credential: identity.credential, store: identity.store,
            configuration: identity.configuration)
        let service = SensorService(
            connection: connection, readings: readings, taker: taker, interval: interval.duration,
            count: count, logger: logger)
        try await service.runUntilSignalled()
    }

    /// In a small program of its own; in this process when the device has a state, which SQLite holds.
    private func runLean(_ source: SensorSource, _ identity: ClientOptions.Identity) throws {
        guard identity.configuration.link.tap == nil else {
            throw OuroborosError(
                .invalidConfiguration,
                "--lean has no --key-log and no OUROBOROS_TRACE: leave one or the other out")
        }
        guard !identity.server.isStream else {
            throw OuroborosError(.invalidConfiguration, "--lean speaks UDP alone: leave tcp:// out")
        }
        let place = identity.server.place
        let sensor = LeanSensor(
            host: place.host, port: place.port, credential: identity.credential, store: identity.store,
            source: source, interval: interval.duration, count: count, timeout: client.timeout?.duration)
        guard identity.store == nil else {
            return try sensor.run()
        }
        try LeanProgram.become(sensor, rootKey: identity.credential.key)
    }
}
