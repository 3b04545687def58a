import Logging
import Ouroboros
import CommandKit
import OuroborosNIO
import OuroborosStore

/// Messages to devices: each is in the queue before anything is sent, and goes out when its device is heard.
package actor Downlink {
    private let server: OuroborosServer
    private let isKnown: @Sendable (DeviceID) async throws -> Bool
    private let settings: DownlinkSettings
    private let queue: DownlinkQueue
    private let metrics: DownlinkMetrics
    private let logger: Logger
    private let due = DueDevices()
    private var underWay: [DeviceID: Int] = [:]
    private var waiters: [Int64: [Int: CheckedContinuation<Void, Never>]] = [:]
    private var nextWaiter = 0
    private var isStopping = false

    /// What a packet takes.
    package static let mostBytes = LinkConfiguration.server.maxBody
    /// Of one device, so that one that does not answer leaves places to others.
    private static let mostUnderWay = 8
    private static let sweepPeriod = Duration.seconds(1)

    package init(
        server: OuroborosServer, settings: DownlinkSettings, metrics: DownlinkMetrics, logger: Logger,
        isKnown: @escaping @Sendable (DeviceID) async throws -> Bool
    ) throws {
        self.server = server
        self.isKnown = isKnown
        self.settings = settings
        self.metrics = metrics
        self.logger = logger
        queue = try DownlinkQueue(
            path: settings.queue, limits: settings.limits, now: WallClock.milliseconds())
        due.wait(for: try queue.waitingDevices())
    }

    // MARK: For those who send

    /// Queues a message; gives its id, or nil for a device that is not known. It throws *limit* when the queue
    /// is full.
    package func submit(
        _ payload: [UInt8], to device: DeviceID, timeToLive: Duration?
    ) async throws -> Int64? {
        guard payload.count <= Self.mostBytes else {
            throw OuroborosError.tooLarge(payload.count, limit: Self.mostBytes)
        }
        guard try await isKnown(device) else { return nil }
        let now = WallClock.milliseconds()
        let time = min(timeToLive ?? settings.timeToLive, DownlinkSettings.longestTimeToLive)
        let id = try queue.add(
            payload, for: device, expiresAt: now + time.milliseconds, now: now)
        due.wait(for: [device])
        due.ring([device])
        return id
    }

    /// What became of it; nil when it is not known, or not that device's.
    package func entry(_ id: Int64, of device: DeviceID) throws -> DownlinkQueue.Entry? {
        try queue.entry(id).flatMap { $0.device == device ? $0 : nil }
    }

    /// The same, once the outcome is there; of a device that is not there, or does not answer in time, before.
    package func answer(_ id: Int64, of device: DeviceID) async throws -> DownlinkQueue.Entry? {
        if let silence = try await server.silence(of: device), silence < settings.sleepingAfter {
            await outcome(of: id, within: settings.answerWithin)
        }
        return try entry(id, of: device)
    }

    /// Returns when the outcome is known, or the time is over, or the gateway stops.
    package func outcome(of id: Int64, within limit: Duration) async {
        guard !isStopping, (try? queue.entry(id))??.state.isFinal == false else { return }
        nextWaiter += 1
        let waiter = nextWaiter
        let timeout = Task {
            try? await Task.sleep(for: limit)
            release(id, waiter)
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { waiters[id, default: [:]][waiter] = $0 }
        } onCancel: {
            timeout.cancel()
        }
        timeout.cancel()
    }

    private func release(_ id: Int64, _ waiter: Int) {
        waiters[id]?.removeValue(forKey: waiter)?.resume()
        if waiters[id]?.isEmpty == true {
            waiters[id] = nil
        }
    }

    /// Nobody waits for an outcome any more: those who do hear how it is now.
    package func stopWaiting() {
        isStopping = true
        for waiter in waiters.values.flatMap(\.values) {
            waiter.resume()
        }
        waiters = [:]
    }

    // MARK: For the gateway

    /// Something came from these devices, so that they are awake.
    package nonisolated func heard(_ devices: some Sequence<DeviceID>) {
        due.ring(devices)
    }

    /// Sends what waits, until ``stop()``; then it returns once everything under way has an outcome.
    package func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.sweep() }
            try await withThrowingDiscardingTaskGroup { sends in
                for await device in due.devices {
                    for entry in try await takeDue(device) {
                        sends.addTask { try await self.send(entry) }
                    }
                }
            }
            group.cancelAll()
        }
    }

    package nonisolated func stop() {
        due.finish()
    }

    /// Messages grow old, and a device may have been heard without a message.
    private func sweep() async throws {
        while (try? await Task.sleep(for: Self.sweepPeriod)) != nil {
            for id in try queue.expire(now: WallClock.milliseconds()) {
                metrics.count(.failed)
                finished(id)
            }
            due.ringAll()
        }
    }

    private func takeDue(_ device: DeviceID) async throws -> [DownlinkQueue.Entry] {
        guard let silence = try? await server.silence(of: device), silence < settings.sleepingAfter else {
            return []
        }
        let room = Self.mostUnderWay - underWay[device, default: 0]
        guard room > 0 else { return [] }
        let entries = try queue.take(for: device, limit: room)
        if entries.count < room {
            due.waitNoMore(for: device)
        }
        underWay[device, default: 0] += entries.count
        return entries
    }

    private func send(_ entry: DownlinkQueue.Entry) async throws {
        let left = Duration.milliseconds(max(1, entry.expiresAt - WallClock.milliseconds()))
        let pending = server.post(entry.payload, to: entry.device, timeToLive: left)
        do {
            try await Self.delivered(pending, within: left)
            try finish(entry, .delivered)
        } catch let error as OuroborosError {
            try settle(entry, error)
        }
        underWay[entry.device, default: 1] -= 1
        if underWay[entry.device] == 0 {
            underWay[entry.device] = nil
        }
        due.ring([entry.device])
    }

    /// When its time is over the message is taken back, or else it is unknown whether it arrived.
    private static func delivered(_ pending: PendingMessage, within limit: Duration) async throws {
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                try await pending.delivered()
                return true
            }
            group.addTask {
                try? await Task.sleep(for: limit)
                return false
            }
            let isDelivered = try await group.next()
            group.cancelAll()
            if isDelivered == false {
                _ = try await group.next()
            }
        }
    }

    private func settle(_ entry: DownlinkQueue.Entry, _ error: OuroborosError) throws {
        switch error.code {
        case .notConnected, .failed:
            guard WallClock.milliseconds() < entry.expiresAt else {
                return try finish(entry, .failed, "it was not sent within the message's time to live")
            }
            // It was not sent: it waits until the device is heard again.
            try queue.giveBack([entry.id])
            due.wait(for: [entry.device])
        case .tooLarge: try finish(entry, .failed, error.message)
        default: try finish(entry, .unknown, error.message)
        }
    }

    private func finish(
        _ entry: DownlinkQueue.Entry, _ state: DownlinkQueue.State, _ reason: String? = nil
    ) throws {
        try queue.finish(entry.id, as: state, reason: reason, now: WallClock.milliseconds())
        metrics.count(state)
        logger.debug(
            "a message to a device: \(state)",
            metadata: ["device": "\(entry.device)", "id": "\(entry.id)"])
        finished(entry.id)
    }

    private func finished(_ id: Int64) {
        for waiter in waiters.removeValue(forKey: id)?.values.map(\.self) ?? [] {
            waiter.resume()
        }
    }

    package func updateMetrics() throws {
        metrics.update(try queue.load())
    }
}

extension Duration {
    fileprivate var milliseconds: Int64 {
        components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000
    }
}
