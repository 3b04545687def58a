import CMosquitto
import LibC
import Logging
import Ouroboros
import OuroborosStore
import OuroborosText

/// A broker that the gateway publishes to, and takes messages to devices from.
package final class MQTTSink: Sink {
    /// What the sink asks of the gateway.
    package struct Gateway: Sendable {
        /// Tells, until the task is cancelled, that statuses may be others now.
        package var changes: @Sendable (_ tell: @escaping @Sendable () -> Void) async -> Void
        /// How often statuses are looked at while nobody tells: who falls silent does not.
        package var lookPeriod: Duration
        /// The devices that have a session here.
        package var statuses: @Sendable () async throws -> [DeviceID: DeviceStatus]
        /// Others of which it speaks, unless somebody else does.
        package var gone: @Sendable () async throws -> [DeviceID: DeviceStatus]
        /// Of these, the devices that were removed.
        package var removed: @Sendable (Set<DeviceID>) async throws -> Set<DeviceID>
        /// The silence after which a device's readings are of the past; nil when its rhythm is not known.
        package var expiry: @Sendable (DeviceID) -> Duration?
        /// What people call these devices.
        package var names: @Sendable (Set<DeviceID>) async throws -> [DeviceID: String]
        /// Takes a message to a device; gives what tells its outcome.
        package var send: @Sendable (DeviceID, MQTTMessage) async -> Outcome

        /// Tells what became of a message, each time as a JSON object; the last time it is final.
        package typealias Outcome = @Sendable (_ tell: @Sendable ([UInt8]) async -> Void) async -> Void

        package init(
            changes: @escaping @Sendable (_ tell: @escaping @Sendable () -> Void) async -> Void,
            lookPeriod: Duration,
            statuses: @escaping @Sendable () async throws -> [DeviceID: DeviceStatus],
            gone: @escaping @Sendable () async throws -> [DeviceID: DeviceStatus],
            removed: @escaping @Sendable (Set<DeviceID>) async throws -> Set<DeviceID>,
            expiry: @escaping @Sendable (DeviceID) -> Duration?,
            names: @escaping @Sendable (Set<DeviceID>) async throws -> [DeviceID: String],
            send: @escaping @Sendable (DeviceID, MQTTMessage) async -> Outcome
        ) {
            self.changes = changes
            self.lookPeriod = lookPeriod
            self.statuses = statuses
            self.gone = gone
            self.removed = removed
            self.expiry = expiry
            self.names = names
            self.send = send
        }
    }

    package let name = "mqtt"
    package let batchLimit = 100
    /// The connection is what comes back slowly, and that is looked after in ``run()``.
    package let longestPause = Duration.seconds(2)

    private struct State {
        var connection: MQTTConnection?
        var discovery: Discovery?
        var board: StatusBoard
        /// Those whose sensors are taken away as the broker tells them.
        var removed: Set<DeviceID> = []
        var problem = "it is not connected yet"
        /// Rings when statuses may have changed.
        var bell = Doorbell()
        /// The gateway says the last of its devices, and nobody else does.
        var isClosing = false
    }

    private let settings: MQTTSettings
    private let gateway: Gateway
    private let logger: Logger
    private let state: Locked<State>
    /// A connection that ends sooner is no reason to try again at once: two clients with one id would push each other
    /// out for ever. It is above the longest pause.
    private static let stable = Duration.seconds(60)
    /// Between two looks at the statuses at least.
    private static let statusPeriod = Duration.seconds(1)
    /// Commands that wait for the gateway; more are dropped, and told in the log.
    private static let mostCommands = 1024

    package init(_ settings: MQTTSettings, gateway: Gateway, logger: Logger) {
        self.settings = settings
        self.gateway = gateway
        self.logger = logger
        state = Locked(
            State(
                discovery: settings.discoveryPrefix.map { Discovery(prefix: $0, settings: settings) },
                board: StatusBoard(gateway: settings.clientID)))
    }

    // MARK: Deliveries

    package func deliver(_ batch: SinkBatch) async throws {
        noteExpiries(batch.messages)
        let names = await namesToAnnounce(batch.messages)
        let (connection, announcements, problem) = state.withLock { state in
            (
                state.connection,
                state.connection == nil
                    ? [] : state.discovery?.publications(for: batch.messages, names: names) ?? [],
                state.problem
            )
        }
        guard let connection else { throw SinkFailure(problem) }
        try await announce(announcements, over: connection)
        try await connection.publish(batch.messages.map(publication))
    }

    private func announce(_ announcements: [MQTTPublication], over connection: MQTTConnection) async throws {
        do {
            try await connection.publish(announcements)
        } catch let failure as SinkFailure {
            guard case .neverThese = failure.outlook else { throw failure }
            logger.warning(
                "an announcement for Home Assistant is left out: \(failure)", metadata: ["sink": "mqtt"])
        }
    }

    private func noteExpiries(_ messages: [SpooledMessage]) {
        guard settings.discoveryPrefix != nil else { return }
        let expiries = Set(messages.map(\.device)).map { device in
            (device, gateway.expiry(device).map { Int(($0 / .seconds(1)).rounded(.up)) })
        }
        state.withLock { state in
            for (device, expiry) in expiries {
                state.discovery?.note(expiry: expiry, of: device)
            }
        }
    }

    /// The names of devices with something to announce; without them it is announced with their next message.
    private func namesToAnnounce(_ messages: [SpooledMessage]) async -> [DeviceID: String] {
        let devices = state.withLock { $0.discovery?.devices(toAnnounceIn: messages) ?? [] }
        guard !devices.isEmpty, let known = try? await gateway.names(devices) else { return [:] }
        return Dictionary(
            uniqueKeysWithValues: devices.map { device in
                let name = known[device] ?? ""
                return (device, name.isEmpty ? "Ouroboros \(device)" : name)
            })
    }

    private func publication(of message: SpooledMessage) -> MQTTPublication {
        var properties = [
            ("time", WallClock.string(milliseconds: message.receivedAt)), ("session", "\(message.sessionID)"),
            ("counter", "\(message.counter)"),
        ]
        if let position = message.position {
            properties += [("box", "\(position.box)"), ("seq", "\(position.sequence)")]
        }
        let topic = settings.up.topic(of: message.device)
        switch settings.payload {
        case .bytes:
            return MQTTPublication(
                topic: topic, payload: message.payload, userProperties: properties, id: message.id)
        case .json:
            return MQTTPublication(
                topic: topic, payload: MessageLine.line(for: message).dropLast(), userProperties: properties,
                contentType: "application/json", id: message.id)
        }
    }

    package func close() async {
        let current = state.withLock { state in
            state.isClosing = true
            return state.connection
        }
        guard let connection = current else { return }
        // The gateway has told its devices: none has a session any more.
        try? await publishStatuses(over: connection, [:], gone: [:])
        try? await publish(.offline, over: connection)
        connection.close()
        _ = await connection.whenEnded()
    }

    // MARK: The connection

    /// Connects, and connects again whenever that ends.
    package func run() async {
        async let _: Void = gateway.changes { [self] in state.withLock(\.bell).ring() }
        var backoff = Backoff.ofSinks
        var telling = Telling<String>()
        var brief = 0
        while !Task.isCancelled {
            let (commands, command) = AsyncStream.makeStream(
                of: MQTTMessage.self, bufferingPolicy: .bufferingOldest(Self.mostCommands))
            var problem: String
            var connected: ContinuousClock.Instant?
            do {
                let connection = try await MQTTConnection.open(settings) { [self] message in
                    take(message, command)
                }
                connected = .now
                problem = try await use(connection, commands)
            } catch {
                problem = "\(error)"
            }
            if let connected {
                brief = .now - connected < Self.stable ? brief + 1 : 0
                if brief == 0 {
                    backoff.reset()
                }
            }
            // Not every broker tells that it gave the place to another client.
            if brief > 1 {
                problem +=
                    " (again, soon after it was made: if another client has the client id “\(settings.clientID)”, give "
                    + "each gateway one of its own, mqtt-client-id)"
            }
            command.finish()
            let isNew = state.withLock { state in
                state.connection = nil
                defer { state.problem = problem }
                return state.problem != problem
            }
            // While the broker is away that is told once.
            if isNew || connected != nil, telling.isDue(problem), !Task.isCancelled {
                logger.warning("\(problem)", metadata: ["sink": "mqtt"])
            }
            try? await Task.sleep(for: backoff.next(upTo: .seconds(30)))
        }
    }

    /// Until the connection ends; gives why.
    private func use(_ connection: MQTTConnection, _ commands: AsyncStream<MQTTMessage>) async throws
        -> String
    {
        defer { connection.close() }
        return try await withThrowingTaskGroup(of: Void.self) { group in
            defer { group.cancelAll() }
            // What the broker has kept comes first, and nothing is written before that is queued.
            group.addTask { await self.carryOut(commands, over: connection) }
            try await begin(over: connection)
            group.addTask { await self.keepStatuses(over: connection) }
            let reason = await connection.whenEnded()
            return "the connection to \(settings.broker.name) has ended: \(reason)"
        }
    }

    private func begin(over connection: MQTTConnection) async throws {
        try await connection.subscribe(
            to: settings.status.filter, options: MQTT_SUB_OPT_SEND_RETAIN_ALWAYS)
        if let filter = settings.downFilter {
            try await connection.subscribe(to: filter, quality: 1, options: MQTT_SUB_OPT_SEND_RETAIN_NEVER)
        }
        try await publish(.online, over: connection)
        logger.info("connected to \(settings.broker.name)", metadata: ["sink": "mqtt"])
        state.withLock { state in
            state.connection = connection
            // A broker that was started anew may have forgotten what it retained.
            state.board = StatusBoard(gateway: settings.clientID)
            state.removed = []
            state.discovery = settings.discoveryPrefix.map { Discovery(prefix: $0, settings: settings) }
        }
    }

    // MARK: Status

    private func publish(_ status: DeviceStatus, over connection: MQTTConnection) async throws {
        try await connection.publish([
            MQTTPublication(
                topic: settings.gatewayTopic, payload: Array(status.rawValue.utf8), isRetained: true)
        ])
    }

    private func keepStatuses(over connection: MQTTConnection) async {
        var problem: String?
        let bell = Doorbell()
        state.withLock { $0.bell = bell }
        // What is retained comes first.
        while (try? await Task.sleep(for: Self.statusPeriod)) != nil, !state.withLock(\.isClosing) {
            do {
                let statuses = try await gateway.statuses()
                let own = state.withLock { $0.board.own }
                for device in try await gateway.removed(own.subtracting(statuses.keys)) {
                    try await forget(device, over: connection)
                }
                try await publishStatuses(over: connection, statuses, gone: try await gateway.gone())
                problem = nil
            } catch {
                if problem != "\(error)", !Task.isCancelled, !state.withLock(\.isClosing) {
                    problem = "\(error)"
                    logger.warning("the devices' statuses: \(error)", metadata: ["sink": "mqtt"])
                }
            }
            let rest = gateway.lookPeriod - Self.statusPeriod
            if rest > .zero { await bell.wait(atMost: rest) }
        }
    }

    private func publishStatuses(
        over connection: MQTTConnection, _ statuses: [DeviceID: DeviceStatus],
        gone: [DeviceID: DeviceStatus]
    ) async throws {
        let changes = state.withLock { $0.board.changes(now: statuses, gone: gone) }
        try await connection.publish(
            changes.map { device, status in
                MQTTPublication(
                    topic: settings.status.topic(of: device), payload: Array(status.rawValue.utf8),
                    isRetained: true, userProperties: [(MQTTMessage.gatewayProperty, settings.clientID)])
            })
    }

    /// What is retained of a device that was removed is taken away: its status, and its sensors, which the broker tells.
    private func forget(_ device: DeviceID, over connection: MQTTConnection) async throws {
        try await connection.publish([
            MQTTPublication(topic: settings.status.topic(of: device), payload: [], isRetained: true)
        ])
        let filter = state.withLock { state in
            state.board.forget(device)
            state.discovery?.forget(device)
            return state.discovery?.filter(of: device)
        }
        guard let filter else { return }
        state.withLock { _ = $0.removed.insert(device) }
        try await connection.subscribe(to: filter, options: MQTT_SUB_OPT_SEND_RETAIN_ALWAYS)
    }

    /// True for a sensor of a device that was removed, which is taken away.
    private func takeAway(_ message: MQTTMessage) -> Bool {
        let (device, isRemoved, connection) = state.withLock { state in
            let device = state.discovery?.device(announcedAt: message.topic)
            return (device, device.map { state.removed.contains($0) } ?? false, state.connection)
        }
        guard device != nil else { return false }
        if isRemoved, message.isRetained, !message.payload.isEmpty, let connection {
            Task {
                try? await connection.publish([
                    MQTTPublication(topic: message.topic, payload: [], isRetained: true)
                ])
            }
        }
        return true
    }

    // MARK: What the broker sends

    /// On the connection's thread. True for a message to a device, which is to be queued.
    private func take(
        _ message: MQTTMessage, _ commands: AsyncStream<MQTTMessage>.Continuation
    ) -> Bool {
        if let device = settings.status.device(of: message.topic) {
            let status = DeviceStatus(rawValue: String(decoding: message.payload, as: UTF8.self))
            state.withLock { $0.board.note(device, status, by: message.gateway) }
        } else if takeAway(message) {
            return false
        } else if case .enqueued = commands.yield(message) {
            return true
        } else {
            logger.warning(
                "too many messages to devices at once: one of MQTT's is dropped", metadata: ["sink": "mqtt"])
        }
        return false
    }

    private func carryOut(_ commands: AsyncStream<MQTTMessage>, over connection: MQTTConnection) async {
        await withDiscardingTaskGroup { group in
            for await command in commands {
                defer { connection.release() }
                guard !command.isRetained else { continue }
                guard let device = settings.down?.device(of: command.topic) else {
                    logger.warning(
                        "a message to a device names none: 16 hexadecimal digits in its topic",
                        metadata: ["sink": "mqtt"])
                    continue
                }
                // One after the other: their order is kept.
                let outcome = await gateway.send(device, command)
                guard command.responseTopic != nil else { continue }
                group.addTask { [self] in
                    await outcome { await answer($0, to: command, over: connection) }
                }
            }
        }
    }

    private func answer(
        _ answer: [UInt8], to command: MQTTMessage, over connection: MQTTConnection
    ) async {
        guard let topic = command.responseTopic else { return }
        do {
            try await connection.publish([
                MQTTPublication(
                    topic: topic, payload: answer, contentType: "application/json",
                    correlation: command.correlation)
            ])
        } catch {
            logger.debug("an answer was not taken: \(error)", metadata: ["sink": "mqtt"])
        }
    }
}
