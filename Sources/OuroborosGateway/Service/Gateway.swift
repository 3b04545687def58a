import LibC
import Logging
import Ouroboros
import OuroborosNIO
import OuroborosStore
import ServiceLifecycle

/// A gateway as it is configured.
package struct Gateway: Sendable {
    private let settings: GatewaySettings
    /// Nil when the store is busy: it is opened later.
    private let devices: GatewayDevices?
    private let process: GatewayProcess
    private let manager: ServiceManager
    private let logger: Logger

    /// Opens the store and reads keys, so that what is wrong with them is told before anything listens.
    package init(
        _ settings: GatewaySettings, process: GatewayProcess, manager: ServiceManager = ServiceManager(),
        logger: Logger
    ) throws {
        self.settings = settings
        self.process = process
        self.manager = manager
        self.logger = logger
        do {
            devices = try GatewayDevices(settings)
        } catch let error as OuroborosError where error.code == .busy {
            devices = nil
        }
    }

    /// Listens, and puts together what serves. What cannot be had yet is waited for.
    package func open(tap: PacketTap? = nil) async throws -> OpenGateway {
        makeRoom()
        let patience = StartPatience(manager: manager, logger: logger)
        let shared = try settings.registry.map {
            try SharedRegistry($0, try settings.encryption.key(), logger: logger)
        }
        if let shared {
            _ = try await patience.wait { try shared.devicesWithKeys() }
        }
        let devices = try await patience.wait { try self.devices ?? GatewayDevices(settings) }
        let local = try await patience.wait { try settings.spool.map { AwaitedSpool(try Spool(path: $0)) } }
        let spool: (any SinkStore)? = local ?? shared?.messages
        let metrics = GatewayMetrics(settings.metrics, hostNames: settings.sinks.hostNames)
        let configuration = try await configuration(tap, metrics)
        let (server, isKnown) = try await patience.wait { try await bind(devices, configuration, shared) }
        let events = server.events
        if devices.store?.isSealed == false {
            logger.notice("the keys in the store are not sealed (see --kek-file)")
        }
        let known = KnownDevices(devices.store ?? shared?.directory)
        let outputs = try await GatewayOutputs(
            settings.sinks, number: settings.fleet?.number, spool: spool, known: known, shared: shared,
            server: server, process: process, metrics: metrics.factory, patience: patience, logger: logger,
            isKnown: isKnown)
        let files: [(any WatchedFile)?] = [devices.store, local, outputs.queue]
        let watch = StoreWatch(files.compactMap(\.self), logger: logger)
        let page = try GatewayPage(settings, server: server, known: known, logger: logger)
        let service = GatewayService(
            server: server, events: events, store: devices.store, watch: watch,
            activity: devices.store ?? shared?.activity, spool: spool, outputs: outputs, page: page,
            echo: settings.echo, process: process,
            manager: manager, logger: logger)
        let facts = metrics.service(
            server: server, watch: watch, store: devices.store, shared: shared, outputs: outputs, page: page,
            logger: logger)
        return OpenGateway(
            endpoints: server.endpoints,
            reload: GatewayReload(settings, outputs: outputs, logger: logger), service: service,
            outputs: outputs, facts: facts, process: process, logger: logger)
    }

    /// What a gateway has open beside its TCP connections: files, sockets, what is served and what it is connected to.
    private static let otherDescriptors = 256

    /// For as many TCP connections as it is to take.
    private func makeRoom() {
        guard settings.bind.contains(where: \.isStream) else { return }
        let wanted = settings.server.maximumStreams * settings.server.workers + Self.otherDescriptors
        guard let limit = DescriptorLimit.raise(to: wanted), limit < wanted else { return }
        logger.warning(
            """
            there is room for some \(max(0, limit - Self.otherDescriptors)) TCP connections, fewer than max-streams allows: \
            the process may have \(limit) files and sockets open; raise that (ulimit -Hn, LimitNOFILE= of a unit), or \
            lower max-streams
            """)
    }

    private func configuration(
        _ tap: PacketTap?, _ metrics: GatewayMetrics
    ) async throws -> ServerConfiguration {
        var configuration = settings.server
        configuration.logger = logger
        configuration.link.tap = tap
        configuration.metrics = metrics.registry
        configuration.fleet = try await settings.fleet?.configuration()
        return configuration
    }

    /// The server, and who tells whether a device belongs to it.
    private func bind(
        _ devices: GatewayDevices, _ configuration: ServerConfiguration, _ shared: SharedRegistry?
    ) async throws -> (OuroborosServer, @Sendable (DeviceID) async throws -> Bool) {
        var endpoints: [Endpoint] = []
        for name in settings.bind {
            let endpoint = try await name.resolve()
            endpoints.append(endpoint.servedHere)
            if endpoint.address != endpoint.servedHere.address {
                logger.notice("this machine has no IPv6: listening on IPv4 alone")
            }
        }
        if let shared {
            let registry = devices.registry(and: shared.registry(logger))
            let server = try await OuroborosServer.bind(
                to: endpoints, sharedRegistry: registry, configuration: configuration)
            return (server, { try await registry.device($0).credential != nil })
        }
        if let registry = devices.registry() {
            let server = try await OuroborosServer.bind(
                to: endpoints, awaitedRegistry: registry, configuration: configuration)
            return (server, { try await registry.credential(of: $0) != nil })
        }
        let registry = try devices.fleet()
        let server = try await OuroborosServer.bind(
            to: endpoints, registry: registry, configuration: configuration)
        return (server, { try registry.credential(of: $0) != nil })
    }
}

/// A gateway that listens, and serves once it runs, until it is shut down gracefully: each device is told.
package struct OpenGateway: Service {
    package let endpoints: [Endpoint]
    package let reload: GatewayReload
    fileprivate let service: GatewayService
    fileprivate let outputs: GatewayOutputs
    /// Metrics and page, if they are asked for.
    fileprivate let facts: (any Service)?
    fileprivate let process: GatewayProcess
    fileprivate let logger: Logger

    package func run() async throws {
        // In this order: the last ends first.
        var parts = outputs.before
        parts.append(("taking messages", service))
        parts += outputs.after
        if let facts { parts.append(("metrics and page", facts)) }
        let limit = EndLimit(giveUp: process.giveUp)
        defer { limit.over() }
        let services = parts.map { name, service in
            ServiceGroupConfiguration.ServiceConfiguration(service: EssentialService(name, service, limit))
        }
        // What the lifecycle has to tell is not the gateway's log.
        var quiet = logger
        quiet.logLevel = .critical
        let group = ServiceGroup(configuration: .init(services: services, logger: quiet))
        try await withGracefulShutdownHandler {
            try await group.run()
        } onGracefulShutdown: {
            limit.begin()
        }
    }
}
