import Ouroboros
import OuroborosDownlink
import OuroborosNIO
import OuroborosSinks
import OuroborosStore
import OuroborosText

/// What the gateway tells of devices that are not connected.
actor PresenceFacts {
    nonisolated let presence: Presence
    private let known: KnownDevices
    private let isShared: Bool
    private let isKnown: @Sendable (DeviceID) async throws -> Bool
    /// Devices that no list has, and that belong here all the same: those of a fleet's key.
    private var unlisted: Set<DeviceID> = []

    private static let longestListAge = Duration.seconds(20)

    init(
        presence: Presence, known: KnownDevices, isShared: Bool,
        isKnown: @escaping @Sendable (DeviceID) async throws -> Bool
    ) {
        self.presence = presence
        self.known = known
        self.isShared = isShared
        self.isKnown = isKnown
    }

    /// The devices that were heard here or, unless gateways share them, by those before this one.
    func gone() async -> [DeviceID: DeviceStatus] {
        let seconds = WallClock.milliseconds() / 1000
        var statuses: [DeviceID: DeviceStatus] = [:]
        for record in await known.listing(atMost: Self.longestListAge).records {
            // A device that some gateway has seen is that one's to speak of.
            guard !isShared || record.lastSeen == nil else { continue }
            statuses[record.id] =
                record.lastSeen.map {
                    presence.status(of: record.id, silence: .seconds(max(0, seconds - $0)), hasSession: false)
                } ?? .offline
        }
        for (device, silence) in presence.silences() {
            statuses[device] = presence.status(of: device, silence: silence, hasSession: false)
        }
        return statuses
    }

    /// Of these, the devices that were removed.
    func removed(_ devices: Set<DeviceID>) async throws -> Set<DeviceID> {
        let listing = await known.listing(atMost: Self.longestListAge)
        guard listing.isCurrent else { return [] }
        let listed = Set(listing.records.map(\.id))
        unlisted.subtract(listed)
        var removed: Set<DeviceID> = []
        for device in devices.subtracting(listed) where !unlisted.contains(device) {
            if try await isKnown(device) {
                unlisted.insert(device)
            } else {
                presence.forget(device)
                removed.insert(device)
            }
        }
        return removed
    }
}

extension MQTTSink.Gateway {
    init(
        _ facts: PresenceFacts, _ known: KnownDevices, _ server: OuroborosServer, _ downlink: Downlink?
    ) {
        let presence = facts.presence
        self.init(
            changes: { tell in
                await withDiscardingTaskGroup { group in
                    group.addTask { for await _ in server.events { tell() } }
                    group.addTask { for await _ in presence.returns { tell() } }
                }
            },
            lookPeriod: presence.lookPeriod,
            statuses: {
                Dictionary(
                    uniqueKeysWithValues: try await server.silences().map { device, silence in
                        (device, presence.status(of: device, silence: silence, hasSession: true))
                    })
            },
            gone: { await facts.gone() }, removed: { try await facts.removed($0) },
            expiry: { presence.expiry(of: $0) }, names: { try await known.names(of: $0) },
            send: { device, message in
                await downlink?.carryOut(
                    message.payload, to: device, timeToLive: message.expiry.map { .seconds(Int($0)) })
                    ?? { _ in }
            })
    }
}
