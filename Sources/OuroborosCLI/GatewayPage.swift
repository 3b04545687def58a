import CommandKit
import Logging
import Ouroboros
import OuroborosNIO
import OuroborosPage
import OuroborosStore

/// The gateway's page, where its metrics are.
struct GatewayPage: Sendable {
    /// Nil unless the operator allows payloads to be shown.
    let recent: RecentMessages?
    let feed: PageFeed
    let routes: PageRoutes

    /// Nil without an address to serve it at.
    init?(_ settings: GatewaySettings, server: OuroborosServer, store: GatewayStore?, logger: Logger) throws {
        guard let address = settings.metrics else { return nil }
        recent = settings.pagePayloads ? RecentMessages() : nil
        feed = PageFeed(
            source: GatewayFacts(
                server: server, store: store, recent: recent, sleepingAfter: settings.sinks.sleepingAfter),
            logger: logger)
        routes = try PageRoutes(feed: feed, host: address.host)
    }
}

/// What the page shows of the server and the store.
private struct GatewayFacts: PageSource {
    let server: OuroborosServer
    let store: GatewayStore?
    let recent: RecentMessages?
    /// The silence after which a device counts as asleep.
    let sleepingAfter: Duration

    func counts() async throws -> PageCounts {
        let now = try await server.statistics()
        let drops = now.links.drops.merging(now.drops, uniquingKeysWith: +)
        return PageCounts(
            messages: now.messages, sessions: now.sessions,
            drops: drops.map { PageCounts.Drop(reason: $0.key.metricsName, count: $0.value) })
    }

    func devices() async throws -> [PageDevice] {
        let now = WallClock.milliseconds()
        var devices: [DeviceID: PageDevice] = [:]
        for record in try store?.list() ?? [] {
            var device = PageDevice(id: record.id.description, name: record.name, presence: .offline)
            device.lastSeen = record.lastSeen.map { $0 * 1000 }
            device.epoch = record.epoch
            devices[record.id] = device
        }
        for connected in try await server.connectedDevices() {
            let id = connected.device
            var device = devices[id] ?? PageDevice(id: id.description, presence: .offline)
            device.presence = connected.silence < sleepingAfter ? .online : .sleeping
            device.lastSeen = now - Int64(connected.silence / .milliseconds(1))
            device.epoch = connected.epoch
            let statistics = connected.statistics
            let roundTrip = Int(statistics.roundTripMilliseconds)
            device.roundTripMilliseconds = roundTrip > 0 ? roundTrip : nil
            device.loss = statistics.repeated
            devices[id] = device
        }
        return Array(devices.values)
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
