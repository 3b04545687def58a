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
        _ settings: GatewaySinkSettings, number: UInt8?, spool: (any SinkStore)?, known: KnownDevices,
        server: OuroborosServer, metrics: any MetricsFactory, logger: Logger,
        isKnown: @escaping @Sendable (DeviceID) async throws -> Bool
    ) async throws {
        let downlink = try settings.downlink.map {
            try Downlink(
                server: server, settings: $0, metrics: DownlinkMetrics(factory: metrics), logger: logger,
                isKnown: isKnown)
        }
        self.downlink = downlink
        if let spool, settings.hasSinks {
            // Gateways that share a spool are several at the broker.
            let suffix = spool.isShared ? number.map { "-\($0)" } : nil
            let name = try await spool.identity() + (suffix ?? "")
            sinks = try await SinkGroup(
                Self.sinks(settings, name, isShared: spool.isShared, known, server, downlink, logger),
                spool: spool,
                limits: settings.limits, metrics: metrics, logger: logger)
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

    private static func sinks(
        _ settings: GatewaySinkSettings, _ name: String, isShared: Bool, _ known: KnownDevices,
        _ server: OuroborosServer, _ downlink: Downlink?, _ logger: Logger
    ) -> [any Sink] {
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
        if let mqtt = settings.mqtt(name: name) {
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
