import Logging
import Ouroboros
import OuroborosNIO
import OuroborosPage
import OuroborosStore
import OuroborosText

/// The gateway's page, where its metrics are.
struct GatewayPage: Sendable {
    /// Nil unless the operator allows payloads to be shown.
    let recent: RecentMessages?
    let feed: PageFeed
    let routes: PageRoutes

    /// Nil without an address to serve it at.
    init?(
        _ settings: GatewaySettings, server: OuroborosServer, known: KnownDevices, logger: Logger
    ) throws {
        guard settings.metrics != nil else { return nil }
        recent = settings.pagePayloads ? RecentMessages() : nil
        feed = PageFeed(
            source: GatewayFacts(
                gateway: PageGateway(
                    number: settings.fleet?.number, sharesDevices: settings.registry != nil),
                server: server, known: known, recent: recent,
                sleepingAfter: settings.sinks.sleepingAfter),
            logger: logger)
        routes = try PageRoutes(feed: feed)
    }
}

/// What the page shows of the server, and of the devices that belong here.
private struct GatewayFacts: PageSource {
    let gateway: PageGateway
    let server: OuroborosServer
    let known: KnownDevices
    let recent: RecentMessages?
    /// The silence after which a device counts as asleep.
    let sleepingAfter: Duration

    private static let longestListAge = Duration.seconds(5)

    func counts() async throws -> PageCounts {
        let now = try await server.statistics()
        let drops = now.links.drops.merging(now.drops, uniquingKeysWith: +)
        return PageCounts(
            messages: now.messages, sessions: now.sessions,
            drops: drops.map { PageCounts.Drop(reason: $0.key.metricsName, count: $0.value) })
    }

    func devices() async throws -> PageDevices {
        let known = await known.listing(atMost: Self.longestListAge)
        let now = WallClock.milliseconds()
        let absent: PageDevice.Presence = gateway.sharesDevices ? .away : .offline
        var devices: [DeviceID: PageDevice] = [:]
        for record in known.records {
            var device = PageDevice(id: record.id.description, name: record.name, presence: absent)
            device.lastSeen = record.lastSeen.map { $0 * 1000 }
            device.epoch = record.epoch
            devices[record.id] = device
        }
        for connected in try await server.connectedDevices() {
            let id = connected.device
            var device = devices[id] ?? PageDevice(id: id.description, presence: absent)
            device.presence = connected.silence < sleepingAfter ? .online : .sleeping
            device.lastSeen = now - Int64(connected.silence / .milliseconds(1))
            device.epoch = connected.epoch
            let statistics = connected.statistics
            let roundTrip = Int(statistics.roundTripMilliseconds)
            device.roundTripMilliseconds = roundTrip > 0 ? roundTrip : nil
            device.loss = statistics.repeated
            devices[id] = device
        }
        guard !known.isCurrent else { return PageDevices(Array(devices.values)) }
        let source = gateway.sharesDevices ? "registry does not answer" : "store cannot be read"
        return PageDevices(
            devices.values.filter { $0.presence != absent },
            notice: "The \(source): only devices that are connected here are shown.")
    }

    func messages(of device: String) async -> [PageMessage]? {
        guard let recent, let id = try? DeviceID(hex: device) else { return nil }
        return recent.messages(of: id)
    }
}

extension Statistics {
    /// The share of packets that were sent again: by this side, or by the other, whose copies come as duplicates.
    fileprivate var repeated: Double? {
        let all = sent + received
        guard all > 0 else { return nil }
        return Double(retransmitted + (drops[.duplicate] ?? 0)) / Double(all)
    }
}
