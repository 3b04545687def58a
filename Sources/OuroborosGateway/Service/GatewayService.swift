import Logging
import NIOCore
import Ouroboros
import OuroborosDownlink
import OuroborosNIO
import OuroborosSinks
import OuroborosStore
import OuroborosText
import ServiceLifecycle
import Synchronization

/// The gateway at work: from the server to the spool, if there is one, and standard output.
struct GatewayService: Service {
    let server: OuroborosServer
    let store: GatewayStore?
    let spool: (any SinkStore)?
    let outputs: GatewayOutputs
    let recent: RecentMessages?
    let echo: Bool
    let process: GatewayProcess
    let manager: ServiceManager
    let logger: Logger
    private let activity: ActivityCount
    private let watch: OutboxWatch

    init(
        server: OuroborosServer, store: GatewayStore?, activity: (any ActivityStore)?,
        spool: (any SinkStore)?, outputs: GatewayOutputs, recent: RecentMessages?, echo: Bool,
        process: GatewayProcess, manager: ServiceManager, logger: Logger
    ) {
        self.server = server
        self.store = store
        self.spool = spool
        self.outputs = outputs
        self.recent = recent
        self.echo = echo
        self.process = process
        self.manager = manager
        self.logger = logger
        self.activity = ActivityCount(activity)
        watch = OutboxWatch(logger)
    }

    /// Echoes that are under way; more are left out, so that devices that do not take them cost no memory.
    private static let mostEchoes = 4096

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
            sinks == nil ? "standard output" : nil, spool?.isShared == true ? "the registry" : nil,
        ].compactMap(\.self)
        let limit = Mutex<Task<Void, any Error>?>(nil)
        defer { limit.withLock(\.self)?.cancel() }
        do {
            try await withGracefulShutdownHandler {
                try await work()
            } onGracefulShutdown: {
                logger.info("shutting down")
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
        try await activity.write()
        try store?.erasePastKeys()
        logger.info("stopped")
    }

    private func work() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await logEvents() }
            group.addTask { try await maintain() }
            group.addTask { await showLife() }
            try await printMessages()
            group.cancelAll()
        }
    }

    private func printMessages() async throws {
        try await withThrowingDiscardingTaskGroup { echoes in
            let underWay = EchoCount()
            for await batch in server.batches {
                // A device that sleeps again once it is acknowledged gets what waits for it before that.
                let devices = Set(batch.messages.map(\.device))
                outputs.downlink?.heard(devices)
                outputs.presence.heard(devices)
                guard let new = try await makeSafe(batch) else { return }
                batch.confirm()
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

    /// Stores or prints a batch, or both; gives those of its messages that did not come before, or nil when the
    /// gateway stops while there is no room for them: the devices keep them.
    private func makeSafe(_ batch: ReceivedBatch) async throws -> [ReceivedMessage]? {
        var new = batch.messages
        guard try await outputs.sinks?.gate.enter(Self.load(of: new)) ?? true else { return nil }
        let now = WallClock.milliseconds()
        if let spool {
            let isNew = try await spool.store(new.map { ($0.device, $0.message) }, now: now)
            watch.look(at: new, isNew: isNew)
            let known = zip(new, isNew).filter { !$0.1 }.map(\.0)
            await outputs.sinks?.gate.left(out: Self.load(of: known))
            new = zip(new, isNew).filter(\.1).map(\.0)
        }
        try await outputs.handOn(new, at: now)
        activity.add(messages: batch.messages)
        recent?.add(new, at: now)
        return new
    }

    private static func load(of messages: [ReceivedMessage]) -> SpoolLoad {
        SpoolLoad(messages: messages.count, bytes: messages.reduce(0) { $0 + $1.payload.count })
    }

    private func logEvents() async {
        for await event in server.events {
            switch event {
            case .connected(let device, let session):
                activity.add(sessionOf: device)
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
        guard let limit = manager.watchdog else { return }
        while (try? await Task.sleep(for: limit / 3)) != nil {
            guard (try? await server.statistics()) != nil else { continue }
            await outputs.sinks?.gate.answer()
            manager.alive()
        }
    }

    /// Follows what other processes do to the store, erases keys that were left, and counts.
    private func maintain() async throws {
        var token = try store?.changeToken()
        for turn in 1... {
            guard (try? await Task.sleep(for: .seconds(1))) != nil else { return }
            do {
                let newToken = try store?.changeToken()
                if newToken != token {
                    token = newToken
                    try await server.dropUnknownDevices()
                }
                if turn % 10 == 0 {
                    try await activity.write()
                    try store?.erasePastKeys()
                }
            } catch {
                logger.error("the store: \(error)")
            }
        }
    }
}

private final class EchoCount: Sendable {
    private let count = Mutex(0)

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
