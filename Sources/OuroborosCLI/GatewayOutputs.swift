import CommandKit
import CoreMetrics
import Logging
import Ouroboros
import OuroborosDownlink
import OuroborosNIO
import OuroborosSinks
import OuroborosStore
import ServiceLifecycle

/// What the gateway hands messages on to, and takes messages to devices from.
struct GatewayOutputs {
    let sinks: SinkGroup?
    let downlink: Downlink?
    private let endpoint: DownlinkEndpoint?

    init(
        _ settings: GatewaySinkSettings, spool: Spool?, store: GatewayStore?, server: OuroborosServer,
        metrics: any MetricsFactory, logger: Logger,
        isKnown: @escaping @Sendable (DeviceID) async throws -> Bool
    ) throws {
        let downlink = try settings.downlink.map {
            try Downlink(
                server: server, settings: $0, metrics: DownlinkMetrics(factory: metrics), logger: logger,
                isKnown: isKnown)
        }
        self.downlink = downlink
        sinks = try spool.flatMap { spool in
            guard settings.hasSinks else { return nil }
            let sinks = try Self.sinks(settings, spool, store, server, downlink, logger)
            return try SinkGroup(
                sinks, spool: spool, limits: settings.limits, metrics: metrics, logger: logger)
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

    private static func sinks(
        _ settings: GatewaySinkSettings, _ spool: Spool, _ store: GatewayStore?, _ server: OuroborosServer,
        _ downlink: Downlink?, _ logger: Logger
    ) throws -> [any Sink] {
        var sinks: [any Sink] = []
        if settings.printsFromSpool {
            sinks.append(LineSink(name: "stdout") { try Output.write($0) })
        }
        if let file = settings.file {
            sinks.append(FileSink(file))
        }
        if let http = settings.http {
            sinks.append(HTTPSink(http))
        }
        if let mqtt = settings.mqtt(spool: try spool.identity()) {
            let names = DeviceNames(store)
            let sleepingAfter = settings.sleepingAfter
            let gateway = MQTTSink.Gateway(
                statuses: {
                    Dictionary(
                        uniqueKeysWithValues: try await server.connectedDevices().map {
                            ($0.device, $0.silence < sleepingAfter ? .online : .sleeping)
                        })
                },
                names: { try names.current() },
                send: { device, message in
                    await downlink?.carryOut(
                        message.payload, to: device, timeToLive: message.expiry.map { .seconds(Int($0)) })
                        ?? { _ in }
                })
            sinks.append(MQTTSink(mqtt, gateway: gateway, logger: logger))
        }
        return sinks
    }

    /// In this order: the last ends first.
    var before: [any Service] {
        [downlink.map(DownlinkService.init), sinks.map(SinkService.init)].compactMap { $0 as (any Service)? }
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
