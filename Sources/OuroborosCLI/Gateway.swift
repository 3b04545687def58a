import ArgumentParser
import Logging
import Ouroboros
import OuroborosNIO
import OuroborosStore
import ServiceLifecycle

struct Gateway: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Listens to devices and prints what they send, one JSON line a message.",
        discussion: """
            A device hears that its message was delivered once the line is written to standard output, or, with \
            --spool, once it is in the spool. Logs go to standard error. SIGINT and SIGTERM end it: each device is told.
            """)

    @Option(help: "The gateway's store, made by `ouroboros device add`.")
    var store: String?

    @OptionGroup var encryption: KeyEncryptionOptions

    @Option(help: "A file with a fleet's key: its devices, of fixed credentials, need no entry in the store.")
    var fleetKeyFile: String?

    @Option(
        help: """
            An SQLite file that every message is stored in before it is acknowledged and printed; a message of an \
            outbox is stored and printed once, however often it comes.
            """)
    var spool: String?

    @Option(help: "The address to listen on, HOST:PORT.")
    var bind: String

    @Flag(help: "Sends each message back to its device.")
    var echo = false

    @Option(help: "trace, debug, info, notice, warning or error.")
    var logLevel: Logger.Level = .info

    func run() async throws {
        var logger = Logger(label: "ouroboros.gateway") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = logLevel
        let address = try await HostAndPort(parsing: bind).resolve()
        let devices = try store.map { try openStore($0, encryption) }
        let openedSpool = try spool.map { try Spool(path: $0) }
        var configuration = ServerConfiguration()
        configuration.logger = logger
        let server = try await OuroborosServer.bind(
            to: address, registry: try registry(devices), configuration: configuration)
        if let devices, !devices.isSealed {
            logger.notice("the keys in the store are not sealed (see --kek-file)")
        }
        let service = GatewayService(
            server: server, store: devices, spool: openedSpool, echo: echo, logger: logger)
        var quiet = logger
        quiet.logLevel = .error
        let group = ServiceGroup(
            configuration: .init(
                services: [
                    .init(
                        service: service, successTerminationBehavior: .gracefullyShutdownGroup,
                        failureTerminationBehavior: .cancelGroup)
                ],
                gracefulShutdownSignals: [.sigterm, .sigint], logger: quiet))
        try await group.run()
    }

    private func registry(_ store: GatewayStore?) throws -> any DeviceRegistry {
        if let fleetKeyFile {
            return FleetRegistry(fleetKey: try KeyFiles.read(fleetKeyFile), others: store)
        }
        guard let store else {
            throw OuroborosError(.invalidConfiguration, "give --store or --fleet-key-file: whose devices?")
        }
        return store
    }
}
