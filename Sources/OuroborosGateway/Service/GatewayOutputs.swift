import CoreMetrics
import Logging
import Ouroboros
import OuroborosDownlink
import OuroborosHTTP
import OuroborosNIO
import OuroborosSinks
import OuroborosStore
import OuroborosText
import ServiceLifecycle

/// What the gateway hands messages on to, and takes messages to devices from.
struct GatewayOutputs {
    let sinks: SinkGroup?
    let downlink: Downlink?
    /// The file of messages to devices; nil when they are in the registry, or nowhere.
    let queue: AwaitedQueue?
    let presence: Presence
    private let process: GatewayProcess
    private let printer: LineSink
    private let endpoint: DownlinkEndpoint?
    private let file: FileSink?

    init(
        _ settings: GatewaySinkSettings, number: UInt8?, spool: (any SinkStore)?, known: KnownDevices,
        shared: SharedRegistry?, server: OuroborosServer, process: GatewayProcess,
        metrics: any MetricsFactory, patience: StartPatience, logger: Logger,
        isKnown: @escaping @Sendable (DeviceID) async throws -> Bool
    ) async throws {
        let printer = LineSink(name: "stdout", write: process.print)
        let file = settings.file.map(FileSink.init)
        self.file = file
        self.process = process
        self.printer = printer
        let presence = Presence(sleepingAfter: settings.sleepingAfter, offlineAfter: settings.offlineAfter)
        self.presence = presence
        if let settings = settings.downlink {
            let queue = try await patience.wait {
                try await Self.queue(settings, shared, number, logger)
            }
            self.queue = queue as? AwaitedQueue
            downlink = try await patience.wait {
                try await Downlink(
                    queue: queue, server: server, settings: settings,
                    metrics: DownlinkMetrics(factory: metrics), logger: logger, isKnown: isKnown)
            }
        } else {
            (queue, downlink) = (nil, nil)
        }
        if let spool, settings.hasSinks {
            let identity = try await patience.wait { try await spool.identity() }
            // Gateways that share a spool are several at the broker, and one there for messages to devices.
            let suffix = spool.isShared ? number.map { "-\($0)" } : nil
            let mqtt = settings.mqtt(
                name: identity + (suffix ?? ""), group: spool.isShared ? "ouroboros-\(identity)" : nil)
            let facts = PresenceFacts(
                presence: presence, known: known, isShared: spool.isShared, isKnown: isKnown)
            let gateway = MQTTSink.Gateway(facts, known, server, downlink)
            let broker = mqtt.map { MQTTSink($0, gateway: gateway, logger: logger) }
            let all = Self.sinks(settings, printer, file, broker)
            sinks = try await patience.wait {
                try await SinkGroup(
                    all, spool: spool, limits: settings.limits, metrics: metrics, logger: logger)
            }
        } else {
            sinks = nil
        }
        endpoint = try downlink.flatMap { downlink in
            guard let token = settings.downlinkToken, let address = settings.downlinkAddress else {
                return nil
            }
            return DownlinkEndpoint(
                host: address.host, port: address.port, names: settings.hostNames,
                token: try BearerToken(token.line()), downlink: downlink, logger: logger)
        }
    }

    private static func queue(
        _ settings: DownlinkSettings, _ shared: SharedRegistry?, _ number: UInt8?, _ logger: Logger
    ) async throws -> any DownlinkStore {
        let now = WallClock.milliseconds()
        guard let shared, let number else {
            return AwaitedQueue(
                try DownlinkQueue(path: settings.queue, limits: settings.limits, now: now))
        }
        return try await shared.downlink(gateway: number, settings.limits, now: now, logger: logger)
    }

    private static func sinks(
        _ settings: GatewaySinkSettings, _ printer: LineSink, _ file: FileSink?, _ mqtt: MQTTSink?
    ) -> [any Sink] {
        var sinks: [any Sink] = []
        if settings.printsFromSpool {
            sinks.append(printer)
        }
        if let file {
            sinks.append(file)
        }
        if let http = settings.http {
            sinks.append(HTTPSink(http))
        }
        if let mqtt {
            sinks.append(mqtt)
        }
        return sinks
    }

    /// Takes what is stored, if the gateway stores: sinks read it in the spool, and without any it is printed.
    func handOn(_ messages: [ReceivedMessage], at now: Int64) async throws {
        if let sinks { return sinks.ring() }
        try await printer.write(
            messages.flatMap { MessageLine.line(for: $0.message, of: $0.device, receivedAt: now) })
    }

    // MARK: While it runs

    /// Takes over what may change.
    func change(_ settings: GatewaySinkSettings) async {
        if let file = settings.file {
            await self.file?.change(file)
        }
        await sinks?.gate.change(settings.limits)
    }

    func reopen() async {
        await file?.reopen()
    }

    // MARK: Services

    typealias Part = (name: String, service: any Service)

    /// Those that end after the gateway has stopped taking messages, the last first.
    var before: [Part] {
        var parts: [Part] = []
        if let downlink { parts.append(("messages to devices", DownlinkService(downlink))) }
        if let sinks { parts.append(("the sinks", SinkService(sinks: sinks, process: process))) }
        return parts
    }

    /// Those that end before.
    var after: [Part] {
        guard let endpoint else { return [] }
        return [("the downlink's address", DownlinkEndpointService(endpoint))]
    }

    static let descriptions =
        SinkGroup.descriptions + Array(DownlinkMetrics.descriptions)

    func updateMetrics() async throws {
        try await sinks?.updateMetrics()
        try await downlink?.updateMetrics()
    }

    /// Throws while a sink has failed.
    func check() throws {
        try sinks?.check()
    }
}
