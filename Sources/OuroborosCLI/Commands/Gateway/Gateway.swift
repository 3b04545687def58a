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
    @OptionGroup(title: "Fleet") var fleet: GatewayFlags.Fleet
    @OptionGroup(title: "Limits and times") var limits: GatewayFlags.Limits
    @OptionGroup(title: "Spool and sinks") var spool: GatewaySinkFlags.Spool
    @OptionGroup(title: "Sink: file") var file: GatewaySinkFlags.File
    @OptionGroup(title: "Sink: MQTT") var mqtt: GatewaySinkFlags.MQTT
    @OptionGroup(title: "Sink: HTTP") var http: GatewaySinkFlags.HTTP
    @OptionGroup(title: "Messages to devices") var downlink: GatewaySinkFlags.Downlink
    @OptionGroup var taps: TapOptions

    private var given: [GatewayKey: String] {
        let groups: [any GatewayFlagGroup] = [flags, fleet, limits, spool, file, mqtt, http, downlink]
        return groups.reduce(into: [:]) { given, group in
            given.merge(group.values.compactMapValues(\.self)) { _, new in new }
        }
    }

    func run() async throws {
        let settings = try GatewaySettings(
            try await GatewaySources(
                flags: given, environment: ProcessInfo.processInfo.environment, file: config))
        var logger = Logger(label: "ouroboros.gateway") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = settings.logLevel
        let devices = try settings.store.map { try openStore($0, sealedUnder: settings.encryption.key()) }
        let fleetKey = try settings.fleetKeyFile.map { try KeyFiles.read($0) }
        let local = settings.registry == nil ? try registry(devices, fleetKey) : nil
        if checkConfig {
            return try Output.line(settings.description)
        }
        let shared = try settings.registry.map {
            let shared = try SharedRegistry($0, try settings.encryption.key(), logger: logger)
            _ = try shared.devicesWithKeys()
            return shared
        }
        let spool: (any SinkStore)? = try settings.spool.map { try Spool(path: $0) } ?? shared?.messages
        let metrics = GatewayMetrics(settings.metrics)
        var configuration = settings.server
        configuration.logger = logger
        configuration.link.tap = try taps.tap()
        configuration.metrics = metrics.registry
        configuration.fleet = try await settings.fleet?.configuration()
        var endpoints: [Endpoint] = []
        for name in settings.bind {
            endpoints.append(try await name.resolve())
        }
        let server: OuroborosServer
        let common = shared.map { registry($0.registry(logger), fleetKey) }
        if let common {
            server = try await .bind(
                to: endpoints, sharedRegistry: common, configuration: configuration)
        } else if let local {
            server = try await .bind(to: endpoints, registry: local, configuration: configuration)
        } else {
            throw Self.nobody
        }
        if let devices, !devices.isSealed {
            logger.notice("the keys in the store are not sealed (see --kek-file)")
        }
        let known = KnownDevices(devices ?? shared?.directory)
        let outputs = try await GatewayOutputs(
            settings.sinks, number: settings.fleet?.number, spool: spool, known: known, shared: shared,
            server: server, metrics: metrics.factory, logger: logger
        ) { device in
            if let common { return try await common.credential(of: device) != nil }
            return try local?.credential(of: device) != nil
        }
        let page = try GatewayPage(settings, server: server, known: known, logger: logger)
        let service = GatewayService(
            server: server, store: devices, activity: devices ?? shared?.activity, spool: spool,
            outputs: outputs, recent: page?.recent, echo: settings.echo, logger: logger)
        let endpoint = metrics.service(
            server: server, store: devices, shared: shared, outputs: outputs, page: page, logger: logger)
        var services = outputs.before.map { ServiceGroupConfiguration.ServiceConfiguration(service: $0) }
        services.append(
            .init(
                service: service, successTerminationBehavior: .gracefullyShutdownGroup,
                failureTerminationBehavior: .cancelGroup))
        services += outputs.after.map { .init(service: $0) }
        if let endpoint {
            services.append(.init(service: endpoint, failureTerminationBehavior: .cancelGroup))
        }
        var quiet = logger
        quiet.logLevel = .critical
        let group = ServiceGroup(
            configuration: .init(
                services: services, gracefulShutdownSignals: [.sigterm, .sigint], logger: quiet))
        try await group.run()
    }

    private func registry(_ store: GatewayStore?, _ fleetKey: SecretKey?) throws -> any DeviceRegistry {
        if let fleetKey {
            return FleetRegistry(fleetKey: fleetKey, others: store)
        }
        guard let store else {
            throw Self.nobody
        }
        return store
    }

    private func registry(
        _ shared: any SharedDeviceRegistry, _ fleetKey: SecretKey?
    ) -> any SharedDeviceRegistry {
        fleetKey.map { SharedFleetRegistry(fleetKey: $0, others: shared) } ?? shared
    }

    private static let nobody = OuroborosError(
        .invalidConfiguration, "give --store, --registry or --fleet-key-file: whose devices?")
}
