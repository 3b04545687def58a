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
    private let process: GatewayProcess
    private let printer: LineSink
    private let endpoint: DownlinkEndpoint?

    init(
        _ settings: GatewaySinkSettings, number: UInt8?, spool: (any SinkStore)?, known: KnownDevices,
        shared: SharedRegistry?, server: OuroborosServer, process: GatewayProcess,
        metrics: any MetricsFactory, logger: Logger,
        isKnown: @escaping @Sendable (DeviceID) async throws -> Bool
    ) async throws {
        let printer = LineSink(name: "stdout", write: process.print)
        self.process = process
        self.printer = printer
        let wait = FileWait(logger)
        if let settings = settings.downlink {
            let queue = try await wait.untilPossible {
                try await Self.queue(settings, shared, number, logger)
            }
            self.queue = queue as? AwaitedQueue
            downlink = try await wait.untilPossible {
                try await Downlink(
                    queue: queue, server: server, settings: settings,
                    metrics: DownlinkMetrics(factory: metrics), logger: logger, isKnown: isKnown)
            }
        } else {
            (queue, downlink) = (nil, nil)
        }
        if let spool, settings.hasSinks {
            let identity = try await wait.untilPossible { try await spool.identity() }
            // Gateways that share a spool are several at the broker, and one there for messages to devices.
            let suffix = spool.isShared ? number.map { "-\($0)" } : nil
            let mqtt = settings.mqtt(
                name: identity + (suffix ?? ""), group: spool.isShared ? "ouroboros-\(identity)" : nil)
            let all = Self.sinks(
                settings, printer, mqtt, isShared: spool.isShared, known, server, downlink, logger)
            sinks = try await wait.untilPossible {
                try await SinkGroup(
                    all, spool: spool, limits: settings.limits, metrics: metrics, logger: logger)
            }
        } else {
            sinks = nil
        }
        endpoint = try downlink.flatMap { downlink in
            guard let path = settings.downlinkTokenFile, let address = settings.downlinkAddress else {
                return nil
            }
            var token = try Secrets.line(of: path)
            defer { Erasing.erase(&token) }
            return DownlinkEndpoint(
                host: address.host, port: address.port, token: try BearerToken(token), downlink: downlink,
                logger: logger)
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
        _ settings: GatewaySinkSettings, _ printer: LineSink, _ mqtt: MQTTSettings?, isShared: Bool,
        _ known: KnownDevices, _ server: OuroborosServer, _ downlink: Downlink?, _ logger: Logger
    ) -> [any Sink] {
        var sinks: [any Sink] = []
        if settings.printsFromSpool {
            sinks.append(printer)
        }
        if let file = settings.file {
            sinks.append(FileSink(file))
        }
        if let http = settings.http {
            sinks.append(HTTPSink(http))
        }
        if let mqtt {
            let sleepingAfter = settings.sleepingAfter
            let gateway = MQTTSink.Gateway(
                statuses: {
                    Dictionary(
                        uniqueKeysWithValues: try await server.connectedDevices().map {
                            ($0.device, $0.silence < sleepingAfter ? .online : .sleeping)
                        })
                },
                absent: {
                    // A device that some gateway has seen is that one's to speak of.
                    await known.listing(atMost: .seconds(30)).records
                        .filter { !isShared || $0.lastSeen == nil }.map(\.id)
                },
                names: { try await known.names(of: $0) },
                send: { device, message in
                    await downlink?.carryOut(
                        message.payload, to: device, timeToLive: message.expiry.map { .seconds(Int($0)) })
                        ?? { _ in }
                })
            sinks.append(MQTTSink(mqtt, gateway: gateway, logger: logger))
        }
        return sinks
    }

    /// Takes what is stored, if the gateway stores: sinks read it in the spool, and without any it is printed.
    func handOn(_ messages: [ReceivedMessage], at now: Int64) async throws {
        if let sinks { return sinks.ring() }
        try await printer.write(
            messages.flatMap { MessageLine.line(for: $0.message, of: $0.device, receivedAt: now) })
    }

    /// In this order: the last ends first.
    var before: [any Service] {
        let sinks: (any Service)? = sinks.map { SinkService(sinks: $0, process: process) }
        return [downlink.map(DownlinkService.init), sinks].compactMap(\.self)
    }

    var after: [any Service] {
        [endpoint.map(DownlinkEndpointService.init)].compactMap(\.self)
    }

    static let descriptions =
        SinkGroup.descriptions + Array(DownlinkMetrics.descriptions)

    func updateMetrics() async throws {
        try await sinks?.updateMetrics()
        try await downlink?.updateMetrics()
    }
}
