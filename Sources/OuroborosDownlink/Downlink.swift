import Logging
import Ouroboros
import OuroborosNIO
import OuroborosStore
import OuroborosText

/// Messages to devices: each is in the queue before anything is sent, and goes out when its device is heard. In a queue
/// that gateways share each sends to the devices that it has.
package actor Downlink {
    private let server: OuroborosServer
    private let isKnown: @Sendable (DeviceID) async throws -> Bool
    private let settings: DownlinkSettings
    private let queue: any DownlinkStore
    private let metrics: DownlinkMetrics
    let logger: Logger
    private let due = DueDevices()
    private let waiters = OutcomeWaiters()
    private var underWay: PlacesUnderWay
    /// The last command waited for the queue in vain.
    var waitedInVain = false
    private var looks: QueueLooks
    private var putOff = PutOffDevices()
    private var pause: Task<Void, Never>?
    private var telling = Telling<String>()
    /// Until when outcomes are written, once the gateway ends.
    private var lastWrite: ContinuousClock.Instant?

    /// What a packet takes.
    package static let mostBytes = LinkConfiguration.server.maxBody
    /// Between two looks at all that waits. Of a shared queue others tell what they do, and may not be heard.
    private static let lookPeriod = Duration.seconds(30)
    private static let sharedLookPeriod = Duration.seconds(10)
    /// How soon another gateway takes a message for a device that it has.
    private static let takenWithin = Duration.seconds(2)
    static let retryPeriod = Duration.milliseconds(500)
    static let commandPatience = Duration.seconds(10)
    private static let endTime = Duration.seconds(4)

    package init(
        queue: any DownlinkStore, server: OuroborosServer, settings: DownlinkSettings,
        metrics: DownlinkMetrics, logger: Logger,
        isKnown: @escaping @Sendable (DeviceID) async throws -> Bool
    ) async throws {
        self.queue = queue
        self.server = server
        self.isKnown = isKnown
        self.settings = settings
        underWay = PlacesUnderWay(places: settings.places)
        self.metrics = metrics
        self.logger = logger
        looks = QueueLooks(
            period: queue.isShared ? Self.sharedLookPeriod : Self.lookPeriod, at: .now)
        // One that cannot be read is told before it is used.
        if let first = try await queue.firstExpiry() {
            looks.waits(until: first)
        }
        server.tellHeard { [due] device in due.ring([device]) }
    }

    // MARK: For those who send

    /// Queues a message; gives nil for a device that is not known. It throws *limit* when the queue is full, and
    /// *unknown* when nobody knows whether it is queued.
    package func submit(
        _ payload: [UInt8], to device: DeviceID, timeToLive: Duration?
    ) async throws -> DownlinkEntry? {
        guard payload.count <= Self.mostBytes else {
            throw OuroborosError.tooLarge(payload.count, limit: Self.mostBytes)
        }
        guard try await isKnown(device) else { return nil }
        let now = WallClock.milliseconds()
        let time = min(timeToLive ?? settings.timeToLive, DownlinkSettings.longestTimeToLive)
        let entry = try await queue.add(
            payload, for: device, expiresAt: now + time.milliseconds, now: now)
        due.wait(for: [device])
        due.ring([device])
        if looks.waits(until: entry.expiresAt) {
            pause?.cancel()
        }
        return entry
    }

    /// What became of it; nil when it is not known, or not that device's.
    package func entry(_ id: Int64, of device: DeviceID) async throws -> DownlinkEntry? {
        try await queue.entry(id).flatMap { $0.device == device ? $0 : nil }
    }

    /// What became of a message that was queued just now, once the outcome is there; of a device that is not there, or
    /// does not answer in time, before. While the queue is away that is what was known.
    package func answer(_ queued: DownlinkEntry) async throws -> DownlinkEntry {
        func current() async throws -> DownlinkEntry {
            try await unlessAway { try await queue.entry(queued.id) }.flatMap(\.self) ?? queued
        }
        if await isHere(queued.device) {
            await outcome(of: queued.id, within: settings.answerWithin)
        } else if queue.isShared {
            let first = min(Self.takenWithin, settings.answerWithin)
            await outcome(of: queued.id, within: first)
            guard try await current().state == .sending else { return try await current() }
            await outcome(of: queued.id, within: settings.answerWithin - first)
        }
        return try await current()
    }

    /// Returns when the outcome is known, or the time is over, or the gateway stops.
    package nonisolated func outcome(of id: Int64, within limit: Duration) async {
        await waiters.wait(for: id, within: limit) { [queue] in
            do {
                return try await queue.entry(id)?.state.isFinal ?? true
            } catch {
                return false
            }
        }
    }

    /// Nobody waits for an outcome any more: those who do hear how it is now.
    package nonisolated func stopWaiting() {
        waiters.finish()
    }

    // MARK: For the gateway

    /// Something came from these devices, so that they are awake.
    package nonisolated func heard(_ devices: some Sequence<DeviceID>) {
        due.ring(devices)
    }

    /// Sends what waits, until ``stop()``; then it returns once everything under way has an outcome. While the queue is
    /// away it waits.
    package func run() async throws {
        try await together(
            { await self.sendDue() },
            beside: [
                "the sweep of messages to devices": { await self.sweep() },
                "listening to other gateways": { await self.listen() },
            ])
    }

    private func sendDue() async {
        await withDiscardingTaskGroup { sends in
            for await device in due.devices {
                for entry in await takeDue(device) {
                    sends.addTask { await self.send(entry) }
                }
            }
            lastWrite = .now + Self.endTime
        }
    }

    package nonisolated func stop() {
        due.finish()
    }

    private func listen() async {
        while !Task.isCancelled {
            for await notice in queue.notices() {
                switch notice {
                case .waits(let device):
                    due.wait(for: [device])
                    due.ring([device])
                case .settled(let id): waiters.settled(id)
                case .missed: lookAgain()
                }
            }
            // Of a queue of the gateway's own nobody else tells.
            guard queue.isShared else { return await untilCancelled() }
            lookAgain()
            try? await Task.sleep(for: Self.retryPeriod)
        }
    }

    /// What is known of the queue may be old.
    private func lookAgain() {
        looks.missed()
        pause?.cancel()
    }

    /// Messages grow old, places become free, and what others told may have been lost. A device for which something waits
    /// costs nothing until it is heard, of which the server tells.
    private func sweep() async {
        while !Task.isCancelled {
            if let look = looks.due(at: .now, WallClock.milliseconds()) {
                looks.began(look)
                if await unlessFailing({ try await read(look) }) == nil { looks.missed() }
            }
            due.ring(putOff.take(at: .now))
            await rest()
        }
    }

    /// Until something may be due.
    private func rest() async {
        let look = looks.pause(at: .now, WallClock.milliseconds())
        let time = min(look, putOff.due.map { $0 - .now } ?? look)
        let pause = Task { _ = try? await Task.sleep(for: time) }
        self.pause = pause
        await withTaskCancellationHandler {
            await pause.value
        } onCancel: {
            pause.cancel()
        }
    }

    private func read(_ look: QueueLooks.Look) async throws {
        for (id, state) in try await queue.expire(now: WallClock.milliseconds()) {
            metrics.count(state)
            waiters.settled(id)
        }
        if look == .whole {
            try await readWhole()
        }
        let first = try await queue.firstExpiry()
        looks.ended(look, at: .now, firstExpiry: first)
    }

    private func readWhole() async throws {
        let new = try await due.update { try await queue.waitingDevices() }
        due.ring(try await server.heard(of: new, within: settings.sleepingAfter).keys)
        server.tellOnly { [due] in due.waiting }
        let awaited = waiters.messages
        guard !awaited.isEmpty else { return }
        let pending = try await queue.pending(among: awaited)
        for id in awaited where !pending.contains(id) {
            waiters.settled(id)
        }
    }

    private func isHere(_ device: DeviceID) async -> Bool {
        await silence(of: device) != nil
    }

    /// Nil for a device that is asleep, or elsewhere.
    private func silence(of device: DeviceID) async -> Duration? {
        guard let silence = try? await server.silence(of: device) else { return nil }
        return silence < settings.sleepingAfter ? silence : nil
    }

    private func takeDue(_ device: DeviceID) async -> [DownlinkEntry] {
        let heard = try? await server.heard(of: [device], within: settings.sleepingAfter)
        guard let silence = heard?[device] else { return [] }
        let room = underWay.room(for: device, silentFor: silence)
        guard room > 0 else {
            // What it has under way rings when it ends.
            if !underWay.has(device) { tryAgain(device) }
            return []
        }
        // What is queued from now on is told anew.
        due.waitNoMore(for: device)
        let entries = await unlessFailing {
            try await queue.take(for: device, limit: room, now: WallClock.milliseconds())
        }
        guard let entries else {
            due.wait(for: [device])
            tryAgain(device)
            return []
        }
        if entries.count == room {
            due.wait(for: [device])
        }
        underWay.began(entries.count, for: device)
        return entries
    }

    private func tryAgain(_ device: DeviceID) {
        if putOff.add(device, at: .now) {
            pause?.cancel()
        }
    }

    private func send(_ entry: DownlinkEntry) async {
        do {
            try await deliver(entry)
        } catch {
            logger.error(
                "what became of a message to a device cannot be written: \(error)",
                metadata: ["device": "\(entry.device)", "id": "\(entry.id)"])
        }
        underWay.ended(for: entry.device)
        due.ring([entry.device])
    }

    private func deliver(_ entry: DownlinkEntry) async throws {
        let left = Duration.milliseconds(max(1, entry.expiresAt - WallClock.milliseconds()))
        let pending = server.post(entry.payload, to: entry.device, timeToLive: left)
        var failure: OuroborosError?
        do {
            try await Self.delivered(pending, within: left)
        } catch let error as OuroborosError {
            failure = error
        }
        if let failure {
            try await settle(entry, failure)
        } else {
            try await finish(entry, .delivered)
        }
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

    private func settle(_ entry: DownlinkEntry, _ error: OuroborosError) async throws {
        switch error.code {
        case .notConnected, .failed:
            guard WallClock.milliseconds() < entry.expiresAt else {
                return try await finish(
                    entry, .failed, "it was not sent within the message's time to live")
            }
            // It was not sent: it waits until the device is heard again.
            try await written(entry) { try await queue.giveBack(entry.id) }
            due.wait(for: [entry.device])
        case .tooLarge: try await finish(entry, .failed, error.message)
        default: try await finish(entry, .unknown, error.message)
        }
    }

    private func finish(
        _ entry: DownlinkEntry, _ state: DownlinkState, _ reason: String? = nil
    ) async throws {
        let isFirst = try await written(entry) {
            try await queue.finish(entry.id, as: state, reason: reason, now: WallClock.milliseconds())
        }
        guard let isFirst else { return }
        if isFirst {
            metrics.count(state)
        }
        logger.debug(
            "a message to a device: \(state)\(isFirst ? "" : ", but another gateway has settled it")",
            metadata: ["device": "\(entry.device)", "id": "\(entry.id)"])
        waiters.settled(entry.id)
    }

    /// Writes, however long the queue is away; nil when the gateway ended before.
    @discardableResult
    private func written<Value>(
        _ entry: DownlinkEntry, _ write: () async throws -> Value
    ) async throws -> Value? {
        while true {
            if let value = try await unlessAway(write) { return value }
            guard !Task.isCancelled, lastWrite.map({ .now < $0 }) ?? true else {
                logger.warning(
                    "what became of a message to a device was not written: it will be unknown",
                    metadata: ["device": "\(entry.device)", "id": "\(entry.id)"])
                return nil
            }
            try? await Task.sleep(for: Self.retryPeriod)
        }
    }

    /// Nil while the queue is away.
    private func unlessAway<Value>(_ body: () async throws -> Value) async throws -> Value? {
        do {
            return try await body()
        } catch let error as OuroborosError where error.code.passes {
            logger.debug("messages to devices wait: \(error)")
            return nil
        }
    }

    /// The same, and what fails otherwise is told: it is tried again, and other devices get what is theirs.
    private func unlessFailing<Value>(_ body: () async throws -> Value) async -> Value? {
        do {
            return try await unlessAway(body)
        } catch {
            if !Task.isCancelled, telling.isDue("\(error)") {
                logger.error("messages to devices, which wait: \(error)")
            }
            return nil
        }
    }

    package func updateMetrics() async throws {
        metrics.update(try await queue.load())
    }
}
