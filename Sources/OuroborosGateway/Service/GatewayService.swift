import LibC
import Logging
import NIOCore
import Ouroboros
import OuroborosDownlink
import OuroborosNIO
import OuroborosPage
import OuroborosSinks
import OuroborosStore
import OuroborosText
import ServiceLifecycle

/// The gateway at work: from the server to the spool, if there is one, and standard output.
struct GatewayService: Service {
    let server: OuroborosServer
    let events: AsyncStream<ServerEvent>
    let store: AwaitedStore?
    let watch: StoreWatch
    let spool: (any SinkStore)?
    let outputs: GatewayOutputs
    let page: GatewayPage?
    let echo: Bool
    let process: GatewayProcess
    let manager: ServiceManager
    let logger: Logger
    private let activity: ActivityCount
    private let outboxes: OutboxWatch
    private let stopping = Stopping()
    private let telling = Locked(Telling<String>())

    init(
        server: OuroborosServer, events: AsyncStream<ServerEvent>, store: AwaitedStore?, watch: StoreWatch,
        activity: (any ActivityStore)?, spool: (any SinkStore)?, outputs: GatewayOutputs,
        page: GatewayPage?, echo: Bool, process: GatewayProcess, manager: ServiceManager,
        logger: Logger
    ) {
        self.server = server
        self.events = events
        self.store = store
        self.watch = watch
        self.spool = spool
        self.outputs = outputs
        self.page = page
        self.echo = echo
        self.process = process
        self.manager = manager
        self.logger = logger
        self.activity = ActivityCount(activity)
        outboxes = OutboxWatch(logger)
    }

    /// Echoes that are under way; more are left out, so that devices that do not take them cost no memory.
    private static let mostEchoes = 4096
    /// Between two tries to store.
    private static let longestPause = Duration.seconds(1)
    private static let shortestStorePause = Duration.milliseconds(200)
    private static let tidyPeriod = Duration.seconds(10)
    private static let longestGathering = Duration.milliseconds(5)

    func run() async throws {
        for endpoint in server.endpoints {
            let address = endpoint.address
            let kind = if case .tcp = endpoint.transport { " (TCP)" } else { "" }
            logger.info("listening on \(address.ipAddress ?? "?") port \(address.port ?? 0)\(kind)")
        }
        manager.ready("serving")
        let (server, sinks, process, manager, logger) = (server, outputs.sinks, process, manager, logger)
        // What may take nothing for longer than a gateway that ends can wait.
        let slow = [
            sinks == nil ? "standard output" : nil, spool.map { $0.isShared ? "the registry" : "the spool" },
        ].compactMap(\.self)
        let stopping = stopping
        let limit = Locked<Task<Void, any Error>?>(nil)
        // They end with the server.
        async let told: Void = logEvents()
        defer { limit.withLock(\.self)?.cancel() }
        do {
            try await withGracefulShutdownHandler {
                try await work()
            } onGracefulShutdown: {
                logger.info("shutting down")
                stopping.begin()
                manager.stopping()
                let closing = Task {
                    await sinks?.gate.stopWaiting()
                    await server.close()
                    guard !slow.isEmpty else { return }
                    try await Task.sleep(for: .seconds(5))
                    process.giveUp(
                        "\(slow.joined(separator: " or ")) takes no more: what was not written is not acknowledged"
                    )
                }
                limit.withLock { $0 = closing }
            }
        } catch {
            // What is not written is not confirmed: the devices keep it.
            await server.close()
            throw error
        }
        await server.close()
        await told
        do {
            try await activity.write()
            try await store?.tidy()
        } catch let error as OuroborosError where error.code.passes {
            logger.warning("what the devices did last is not counted: \(error.message)")
        }
        logger.info("stopped")
    }

    private func work() async throws {
        try await together(
            { try await printMessages() },
            beside: [
                "the watch of files": { try await watch.run() },
                "the look at the store": { await followStore() },
                "the care of the store": { await tidy() },
                "the sign of life": { await showLife() },
            ])
    }

    private func printMessages() async throws {
        try await withThrowingDiscardingTaskGroup { echoes in
            let underWay = EchoCount()
            for await batch in server.batches {
                // A device that sleeps again once it is acknowledged gets what waits for it before that.
                let devices = Set(batch.messages.map(\.device))
                outputs.downlink?.heard(devices)
                outputs.presence.heard(devices)
                let began = ContinuousClock.now
                guard let new = try await makeSafe(batch) else { return }
                batch.confirm()
                try await gather(since: began)
                guard echo else { continue }
                for received in new {
                    guard underWay.begin(limit: Self.mostEchoes) else {
                        logger.warning("too many echoes are under way: one is left out")
                        continue
                    }
                    let pending = server.post(received.payload, to: received.device)
                    echoes.addTask {
                        defer { underWay.end() }
                        do {
                            try await pending.delivered()
                        } catch {
                            logger.debug("an echo: \(error)", metadata: ["device": "\(received.device)"])
                        }
                    }
                }
            }
        }
    }

    /// On the way to a database what devices send once they hear of a batch goes with what came meanwhile, and not a way
    /// later.
    private func gather(since began: ContinuousClock.Instant) async throws {
        guard let spool, spool.isShared else { return }
        try await Task.sleep(for: min((.now - began) / 4, Self.longestGathering))
    }

    /// Stores or prints a batch, or both; gives those of its messages that did not come before, or nil when the
    /// gateway stops while there is no room for them or they cannot be written: the devices keep them.
    private func makeSafe(_ batch: ReceivedBatch) async throws -> [ReceivedMessage]? {
        var new = batch.messages
        guard try await outputs.sinks?.gate.enter(Self.load(of: new)) ?? true else { return nil }
        let now = WallClock.milliseconds()
        if let spool {
            guard let isNew = try await stored(new, in: spool, now) else { return nil }
            outboxes.look(at: new, isNew: isNew)
            let known = zip(new, isNew).filter { !$0.1 }.map(\.0)
            await outputs.sinks?.gate.left(out: Self.load(of: known))
            new = zip(new, isNew).filter(\.1).map(\.0)
        }
        try await outputs.handOn(new, at: now)
        activity.add(messages: batch.messages)
        page?.feed.came(batch.messages.count)
        page?.recent?.add(new, at: now)
        return new
    }

    /// Waits while the spool cannot be written, and the devices with it; nil when the gateway stops before.
    private func stored(
        _ messages: [ReceivedMessage], in spool: any SinkStore, _ now: Int64
    ) async throws -> [Bool]? {
        var backoff = Backoff(first: .milliseconds(100))
        while true {
            do {
                return try await spool.store(messages.map { ($0.device, $0.message) }, now: now)
            } catch let error as OuroborosError where error.code == .busy {
                guard !stopping.hasBegun else { return nil }
            }
            try await Task.sleep(for: backoff.next(upTo: Self.longestPause))
        }
    }

    private static func load(of messages: [ReceivedMessage]) -> SpoolLoad {
        SpoolLoad(messages: messages.count, bytes: messages.reduce(0) { $0 + $1.payload.count })
    }

    private func logEvents() async {
        for await event in events {
            switch event {
            case .connected(let device, let session):
                activity.add(sessionOf: device, from: try? await server.address(of: device))
                logger.info("connected", metadata: ["device": "\(device)", "session": "\(session)"])
            case .disconnected(let device):
                logger.info("disconnected", metadata: ["device": "\(device)"])
            case .closed(let device, let reason, _, let missing):
                logger.debug(
                    "session closed",
                    metadata: ["device": "\(device)", "reason": "\(reason)", "missing": "\(missing)"])
            case .silent(let device):
                logger.info("does not answer", metadata: ["device": "\(device)"])
            case .heardAgain(let device):
                logger.info("answers again", metadata: ["device": "\(device)"])
            // The server warns of it.
            case .stalled: break
            }
        }
    }

    /// The manager restarts a gateway whose loops or sinks hang, not one that waits for a disk, a database or a collector.
    private func showLife() async {
        guard let limit = manager.watchdog else { return await untilCancelled() }
        while (try? await Task.sleep(for: limit / 3)) != nil {
            guard (try? await server.answer()) != nil else { continue }
            await outputs.sinks?.gate.answer()
            manager.alive()
        }
    }

    /// What other processes do to the store.
    private func followStore() async {
        guard let store else { return await untilCancelled() }
        var token: Int64?
        for await _ in store.writings() {
            var isKnown = false
            while !isKnown {
                isKnown = await noteStore {
                    let newToken = try await store.changeToken()
                    guard newToken != token else { return }
                    try await server.dropUnknownDevices()
                    token = newToken
                }
                // Whoever writes often is followed a few times a second.
                let pause = isKnown ? Self.shortestStorePause : Self.longestPause
                guard (try? await Task.sleep(for: pause)) != nil else { return }
            }
        }
    }

    /// Counts what the devices did, and tidies the store.
    private func tidy() async {
        while (try? await Task.sleep(for: Self.tidyPeriod)) != nil {
            _ = await noteStore {
                try await activity.write()
                try await store?.tidy()
            }
        }
    }

    /// False when the store failed.
    private func noteStore(_ body: () async throws -> Void) async -> Bool {
        do {
            try await body()
            return true
        } catch let error as OuroborosError where error.code.passes {
            // It is told of the file, or of the registry.
        } catch {
            if telling.withLock({ $0.isDue("\(error)") }) { logger.error("the store: \(error)") }
        }
        return false
    }
}

private final class Stopping: Sendable {
    private let state = Locked(false)

    var hasBegun: Bool { state.withLock(\.self) }

    func begin() {
        state.withLock { $0 = true }
    }
}

private final class EchoCount: Sendable {
    private let count = Locked(0)

    func begin(limit: Int) -> Bool {
        count.withLock { count in
            guard count < limit else { return false }
            count += 1
            return true
        }
    }

    func end() {
        count.withLock { $0 -= 1 }
    }
}
