import ArgumentParser
import CommandKit
import Foundation
import Logging
import Ouroboros
import OuroborosMetrics
import OuroborosMetricsHTTP
import OuroborosNIO
import OuroborosStore
import ServiceLifecycle

struct Gateway: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Listens to devices and prints what they send, one JSON line a message.",
        discussion: """
            A device hears that its message was delivered once the line is written to standard output, or, with \
            --spool, once it is in the spool. Logs go to standard error. SIGINT and SIGTERM end it: each device is told.

            What flags do not say is taken from the environment (OUROBOROS_GATEWAY_STORE for --store, and so on), \
            then from the file of --config, then from the defaults.
            """)

    @Option(
        help: "A file with the configuration, JSON (.json) or YAML (.yaml); its keys are the flags' names.")
    var config: String?

    @Flag(help: "Checks the configuration, prints it with where each value comes from, and ends.")
    var checkConfig = false

    @OptionGroup var flags: GatewayFlags

    @OptionGroup var taps: TapOptions

    func run() async throws {
        let settings = try GatewaySettings(
            try await GatewaySources(
                flags: flags.values, environment: ProcessInfo.processInfo.environment, file: config))
        var logger = Logger(label: "ouroboros.gateway") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = settings.logLevel
        let devices = try settings.store.map { try openStore($0, sealedUnder: settings.encryption.key()) }
        let registry = try registry(devices, settings)
        if checkConfig {
            return try Output.line(settings.description)
        }
        let spool = try settings.spool.map { try Spool(path: $0) }
        let metrics = GatewayMetrics(settings.metrics)
        var configuration = settings.server
        configuration.logger = logger
        configuration.link.tap = try taps.tap()
        configuration.metrics = metrics.registry
        var endpoints: [Endpoint] = []
        for name in settings.bind {
            endpoints.append(try await name.resolve())
        }
        let server = try await OuroborosServer.bind(
            to: endpoints, registry: registry, configuration: configuration)
        if let devices, !devices.isSealed {
            logger.notice("the keys in the store are not sealed (see --kek-file)")
        }
        let page = try GatewayPage(settings, server: server, store: devices, logger: logger)
        let service = GatewayService(
            server: server, store: devices, spool: spool, recent: page?.recent, echo: settings.echo,
            logger: logger)
        var services: [ServiceGroupConfiguration.ServiceConfiguration] = [
            .init(
                service: service, successTerminationBehavior: .gracefullyShutdownGroup,
                failureTerminationBehavior: .cancelGroup)
        ]
        if let endpoint = metrics.service(server: server, store: devices, page: page, logger: logger) {
            services.append(.init(service: endpoint, failureTerminationBehavior: .cancelGroup))
        }
        var quiet = logger
        quiet.logLevel = .critical
        let group = ServiceGroup(
            configuration: .init(
                services: services, gracefulShutdownSignals: [.sigterm, .sigint], logger: quiet))
        try await group.run()
    }

    private func registry(
        _ store: GatewayStore?, _ settings: GatewaySettings
    ) throws -> any DeviceRegistry {
        if let path = settings.fleetKeyFile {
            return FleetRegistry(fleetKey: try KeyFiles.read(path), others: store)
        }
        guard let store else {
            throw OuroborosError(.invalidConfiguration, "give --store or --fleet-key-file: whose devices?")
        }
        return store
    }
}
